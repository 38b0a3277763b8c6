-- Give the turns that are left in a lane to an owner's runs that wait. A turn whose run is not open is one that was lost; it is left too. How many were woken.
-- KEYS turns  ARGV owner, lane, turns, grace ms, prefix
local t = turns_of(ARGV[5], ARGV[1], ARGV[3], ARGV[4])
for _, source in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local h = redis.call('HMGET', ARGV[5] .. 'source:' .. ARGV[1] .. '~' .. source, 'state', 'lane')
  if not h[1] or terminal(h[1]) or h[2] ~= ARGV[2] then redis.call('SREM', KEYS[1], source) end
end
return wake(t, ARGV[2])
