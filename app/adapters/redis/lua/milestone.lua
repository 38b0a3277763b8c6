-- A milestone of an attempt. 0 when it was there, or the run is not ours.
-- KEYS channel, stream, busy, alias, source, timeline  ARGV owner, source, run, attempt, seq, fence, stage, body, ttl, live
local h = redis.call('HMGET', KEYS[5], 'run', 'state', 'fence')
if h[1] and (h[1] ~= ARGV[3] or h[2] ~= 'processing' or h[3] ~= ARGV[6]) then return 0 end
local n = append(KEYS[1], KEYS[2], ARGV[10], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[8])
if n == 0 then return 0 end
if h[1] and ARGV[7] ~= '' then
  note(KEYS[6], ARGV[4], ARGV[7])
  redis.call('HSET', KEYS[5], 'stage', ARGV[7])
end
keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[9])
return n
