-- How far a run is: told to whoever listens and kept as one latest value. 0 when the run is not ours or the number would go back.
-- KEYS source, progress  ARGV source, run, fence, percent, body, live, ttl
local h = redis.call('HMGET', KEYS[1], 'run', 'fence', 'progress')
if h[1] ~= ARGV[2] or h[2] ~= ARGV[3] or tonumber(h[3]) > tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], 'progress', ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('PUBLISH', ARGV[6], 'p ' .. ARGV[5])
return 1
