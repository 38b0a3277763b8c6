-- The places (from 1) of the sources of which no run is open.  KEYS sources
local out = {}
for place, key in ipairs(KEYS) do
  local state = redis.call('HGET', key, 'state')
  if not state or terminal(state) then out[#out + 1] = place end
end
return out
