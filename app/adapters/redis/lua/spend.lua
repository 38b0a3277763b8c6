-- Count a source as brought by a token, which may bring ARGV[2]: 1, or 0 when it has brought as many. The same source again counts once.
-- KEYS token  ARGV source, most, seconds
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
