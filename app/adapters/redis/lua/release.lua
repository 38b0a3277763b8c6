-- Give a run back with its attempt; it is due again after the grace. 0 when it was not ours.
-- KEYS source, timeline, open, running  ARGV member, run, fence, grace ms, overran (1|0)
local h = redis.call('HMGET', KEYS[1], 'run', 'state', 'fence', 'attempt')
if h[1] ~= ARGV[2] or h[2] ~= 'processing' or h[3] ~= ARGV[3] then return 0 end
note(KEYS[2], tonumber(h[4]), ARGV[5] == '1' and 'took too long' or 'released')
if ARGV[5] == '1' then redis.call('HINCRBY', KEYS[1], 'overran', 1) end
redis.call('HSET', KEYS[1], 'state', 'accepted', 'attempt', tonumber(h[4]) - 1, 'fence', '', 'worker', '', 'lease', 0)
redis.call('ZADD', KEYS[3], now + ARGV[4], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
return 1
