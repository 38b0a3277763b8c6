-- Open runs whose grace or lease is over: {member, run, member, run, …}.
-- KEYS open  ARGV limit, prefix of source keys
local out = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local run = redis.call('HGET', ARGV[2] .. member, 'run')
  if run then
    out[#out + 1] = member
    out[#out + 1] = run
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return out
