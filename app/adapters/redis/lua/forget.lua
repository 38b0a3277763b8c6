-- Drop a source's record and timeline, and its place in its channel.
-- KEYS source, timeline, open, running
-- ARGV member, owner, source, ttl after end, and the keys channel, stream, busy, alias, progress without the channel's name, then prefix, turns, grace ms
local h = redis.call('HMGET', KEYS[1], 'ws', 'lane')
local ws = h[1]
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
end_turn(turns_of(ARGV[10], ARGV[2], ARGV[11], ARGV[12]), h[2], ARGV[3])
if ws then
  redis.call('HDEL', ARGV[9] .. ws, ARGV[3])
  if redis.call('SREM', ARGV[7] .. ws, ARGV[3]) == 1 then keep(ARGV[5] .. ws, ARGV[6] .. ws, ARGV[7] .. ws, ARGV[8] .. ws, ARGV[2], ARGV[4]) end
end
return 1
