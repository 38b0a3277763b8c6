-- Look at a run again in a while: whoever took its message cannot make sense of it. 0 when somebody is at work, or nothing is open.
-- KEYS source, open  ARGV member, ms
local h = redis.call('HMGET', KEYS[1], 'state', 'lease')
if not h[1] or terminal(h[1]) or tonumber(h[2]) > now then return 0 end
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
return 1
