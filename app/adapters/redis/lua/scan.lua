-- A scan of the inbox begins, or ends: from its end on all that is open is known here. A scan over which all was lost does not count.
-- KEYS scan  ARGV token, ends (1|0)
if ARGV[2] == '0' then
  redis.call('HSET', KEYS[1], 'token', ARGV[1])
elseif redis.call('HGET', KEYS[1], 'token') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'whole', 1)
end
return 1
