-- A process lives for ARGV[2] ms more; 0: it stops. Who has not said so for that long is forgotten.
-- KEYS fleet  ARGV process, ms
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if tonumber(ARGV[2]) == 0 then return redis.call('ZREM', KEYS[1], ARGV[1]) end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], 2 * ARGV[2])
