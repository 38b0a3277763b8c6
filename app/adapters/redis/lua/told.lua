-- A reader that was served up to ARGV[2] of an epoch has gone. What a wipe or a lost tail took does not count: beyond the end of that epoch, or of none that is known.
-- KEYS channel  ARGV epoch, offset
local h = redis.call('HMGET', KEYS[1], 'told', 'n', 'e', 'past')
local offset = tonumber(ARGV[2])
local last = h[3] == ARGV[1] and h[2] or string.match(' ' .. (h[4] or ''), ' ' .. ARGV[1] .. ':(%d+)')
if h[1] and last and tonumber(h[1]) < offset and offset <= tonumber(last) then redis.call('HSET', KEYS[1], 'told', offset) end
return 1
