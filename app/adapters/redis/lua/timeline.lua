-- What happened to a run; empty when the record is of another, or there is none.
-- KEYS source, timeline  ARGV run
if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return {} end
return redis.call('LRANGE', KEYS[2], 0, -1)
