-- Enqueue a due run again, each time with a longer pause to the next. 0 when somebody is at work, it is not due yet, its message is still there, or it
-- has ended.
-- KEYS source, open, running  ARGV member, run, grace ms, message, dead worker, prefix, owner, source, turns, lane
local h = redis.call('HMGET', KEYS[1], 'run', 'state', 'lease', 'worker', 'requeues', 'seq')
if not h[1] or terminal(h[2]) then
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('HDEL', KEYS[3], ARGV[1])
  return 0
end
if h[1] ~= ARGV[2] then return 0 end
local leased = tonumber(h[3]) > now
local at = redis.call('ZSCORE', KEYS[2], ARGV[1])
local due = at and tonumber(at) <= now
if leased and h[4] ~= ARGV[5] or not leased and not due then return 0 end
local t, lane = turns_of(ARGV[6], ARGV[7], ARGV[9], ARGV[3]), ARGV[10]
local n = redis.call('HINCRBY', KEYS[1], 'requeues', 1)
redis.call('HSET', KEYS[1], 'lease', 0, 'lane', lane)
local waits = h[2] == 'accepted' and is_sent(t, lane, h[6])
redis.call('ZADD', KEYS[2], now + ARGV[3] * 2 ^ math.min(n - 1, waits and 3 or 6), ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
if waits then return 0 end
if h[2] == 'accepted' then
  if not take_turn(t, lane, ARGV[8]) then
    redis.call('ZREM', KEYS[2], ARGV[1])
    park(t, lane, ARGV[8], KEYS[1], ARGV[4])
    return 0
  end
end
send(t, lane, KEYS[1], ARGV[4])
return 1
