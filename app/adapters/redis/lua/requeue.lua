-- Enqueue a due run again, each time with a longer pause to the next. 0 when somebody is at work, it is not due yet, or it has ended.
-- KEYS source, open, running, queue  ARGV member, run, grace ms, message, dead worker
local h = redis.call('HMGET', KEYS[1], 'run', 'state', 'lease', 'worker', 'requeues')
if not h[1] or terminal(h[2]) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[1])
  return 0
end
if h[1] ~= ARGV[2] then return 0 end
local leased = tonumber(h[3]) > now
local due = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0') <= now
if leased and h[4] ~= ARGV[5] or not leased and not due then return 0 end
local n = redis.call('HINCRBY', KEYS[1], 'requeues', 1)
redis.call('HSET', KEYS[1], 'lease', 0)
redis.call('ZADD', KEYS[2], now + ARGV[3] * 2 ^ math.min(n - 1, 6), ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('LPUSH', KEYS[4], ARGV[4])
return 1
