-- Runs under a lease: {member, 'run worker', lane, member, …}.
-- KEYS running  ARGV prefix of source keys
local out, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  out[#out + 1] = all[i]
  out[#out + 1] = all[i + 1]
  out[#out + 1] = redis.call('HGET', ARGV[1] .. all[i], 'lane') or 'slow'
end
return out
