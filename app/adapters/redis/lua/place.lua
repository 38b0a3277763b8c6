-- About how many runs come before this one and with it, in its lane; 0: it does not wait.
-- KEYS source  ARGV owner, source, prefix
local h = redis.call('HMGET', KEYS[1], 'state', 'lane', 'seq')
if h[1] ~= 'accepted' or not h[2] then return 0 end
local t = turns_of(ARGV[3], ARGV[1], 0)
local taken, left = taken_and_left(t, h[2])
local rank = redis.call('ZRANK', waiting_in(t, h[2]), ARGV[2])
if rank then return left + rank + 1 end
return math.max(1, math.min(tonumber(h[3] or '0') - taken, left))
