-- An upload to the channel is under way until ARGV[2] ms from now; 0 = it is over.
-- KEYS receiving  ARGV upload, ms
if tonumber(ARGV[2]) == 0 then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local latest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], latest[2] + 60000)
return 1
