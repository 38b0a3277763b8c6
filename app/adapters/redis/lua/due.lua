-- Open runs whose grace or lease is over: {member, run, lane, member, run, lane, …}.
-- KEYS open  ARGV limit, prefix of source keys
local out = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local h = redis.call('HMGET', ARGV[2] .. member, 'run', 'lane')
  if h[1] then
    out[#out + 1] = member
    out[#out + 1] = h[1]
    out[#out + 1] = h[2] or 'slow'
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return out
