-- Open a channel and its bare name: {owner of the name, new}. When another was first, nothing changes.
-- KEYS channel, stream, busy, alias  ARGV owner, ttl, explicit (1|0), keep ('' = as it is, 1, 0), force (1: the name is ours, whoever has it)
local owner = redis.call('GET', KEYS[4])
if owner and owner ~= ARGV[1] and ARGV[5] ~= '1' then return {owner, 0} end
redis.call('SET', KEYS[4], ARGV[1])
open_channel(KEYS[1], KEYS[2])
if ARGV[3] == '1' then
  -- The first explicit registration may come after an upload; it moves nothing. A later one begins after what was told.
  if redis.call('HSETNX', KEYS[1], 'reg', 1) == 0 then
    local told, mark = tonumber(redis.call('HGET', KEYS[1], 'told')), tonumber(redis.call('HGET', KEYS[1], 'mark'))
    if told > mark then redis.call('HSET', KEYS[1], 'mark', told) end
  end
end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'keep', ARGV[4]) end
keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2])
return {ARGV[1], owner and 0 or 1}
