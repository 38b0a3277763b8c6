-- How many runs of an owner are open: those that have a turn, and those that wait for one.
-- KEYS turns and waiting, of each lane
local open = 0
for i = 1, #KEYS, 2 do open = open + redis.call('SCARD', KEYS[i]) + redis.call('ZCARD', KEYS[i + 1]) end
return open
