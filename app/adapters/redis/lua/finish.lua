-- Say the end of a run and close it. 0 when its channel had heard it already. The first end is the one that counts.
-- KEYS channel, stream, busy, alias, source, timeline, open, running, progress
-- ARGV member, owner, source, run, ws, state, body, ttl after end, live, prefix, turns, grace ms
local run = tonumber(ARGV[4])
local h = redis.call('HMGET', KEYS[5], 'run', 'state', 'lane')
local known = tonumber(h[1] or '0')
local closes = known < run or (known == run and not terminal(h[2]))
if closes then
  if known < run then redis.call('DEL', KEYS[5], KEYS[6]) end
  redis.call('HSET', KEYS[5], 'run', run, 'state', ARGV[6], 'ws', ARGV[5], 'lease', 0, 'fence', '', 'worker', '')
  redis.call('HDEL', KEYS[5], 'job')
  redis.call('EXPIRE', KEYS[5], ARGV[8])
  redis.call('EXPIRE', KEYS[6], ARGV[8])
  redis.call('ZREM', KEYS[7], ARGV[1])
  redis.call('HDEL', KEYS[8], ARGV[1])
  redis.call('HDEL', KEYS[9], ARGV[3])
  redis.call('SREM', KEYS[3], ARGV[3])
  end_turn(turns_of(ARGV[10], ARGV[2], ARGV[11], ARGV[12]), h[3], ARGV[3])
end
local n = append(KEYS[1], KEYS[2], ARGV[9], ARGV[3], run, LAST, 0, ARGV[7], ARGV[6] == 'succeeded' and 'done' or 'failed')
if n > 0 then batch(KEYS[1], KEYS[2], ARGV[9], KEYS[3], ARGV[7]) end
if n > 0 or closes then keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2], ARGV[8]) end
return n
