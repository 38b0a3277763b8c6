-- A reader that was served up to ARGV[1] has gone. An offset beyond the head is one of an epoch that a wipe took.
-- KEYS channel  ARGV offset
local h = redis.call('HMGET', KEYS[1], 'told', 'n')
local offset = tonumber(ARGV[1])
if h[1] and tonumber(h[1]) < offset and offset <= tonumber(h[2]) then redis.call('HSET', KEYS[1], 'told', offset) end
return 1
