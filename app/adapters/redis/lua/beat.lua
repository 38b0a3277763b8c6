-- Keep the lease; 0 when the run is no longer ours. A record that a wipe took is written anew, with our fence.
-- KEYS channel, stream, busy, alias, source, open, running  ARGV member, owner, source, run, ws, fence, worker, attempt, lease ms, ttl, prefix, lane
local h = redis.call('HMGET', KEYS[5], 'run', 'state', 'fence')
if not h[1] then
  redis.call('HSET', KEYS[5], 'run', ARGV[4], 'state', 'processing', 'ws', ARGV[5], 'attempt', ARGV[8], 'fence', ARGV[6], 'worker', ARGV[7],
    'requeues', 0, 'progress', 0, 'lane', ARGV[12])
  hold_turn(turns_of(ARGV[11], ARGV[2], 0), ARGV[12], ARGV[3])
  redis.call('SADD', KEYS[3], ARGV[3])
  keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2], ARGV[10])
elseif h[1] ~= ARGV[4] or h[2] ~= 'processing' or h[3] ~= ARGV[6] then
  return 0
end
redis.call('HSET', KEYS[5], 'lease', now + ARGV[9])
redis.call('ZADD', KEYS[6], now + ARGV[9], ARGV[1])
redis.call('HSET', KEYS[7], ARGV[1], ARGV[4] .. ' ' .. ARGV[7])
return 1
