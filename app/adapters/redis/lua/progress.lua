-- How far a run is: told to whoever listens and kept as one latest value. 0 when the run is not ours or the number would go back.
-- With it goes where the channel's milestones stand: a reader who has fewer lacks some.
-- KEYS source, progress, channel  ARGV source, run, fence, percent, body, live, ttl
local h = redis.call('HMGET', KEYS[1], 'run', 'fence', 'progress')
if h[1] ~= ARGV[2] or h[2] ~= ARGV[3] or tonumber(h[3]) > tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], 'progress', ARGV[4])
local head = redis.call('HMGET', KEYS[3], 'n', 'e')
local said = head[2] and head[1] .. ' ' .. head[2] .. ' ' .. ARGV[5] or ARGV[5]
redis.call('HSET', KEYS[2], ARGV[1], said)
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('PUBLISH', ARGV[6], 'p ' .. said)
return 1
