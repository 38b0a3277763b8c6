-- Open a channel and its bare name: {owner of the name, new}. When another was first, nothing changes.
-- KEYS channel, stream, busy, alias
-- ARGV owner, ttl, explicit (1|0), keep ('' = as it is, 1, 0), force (name: it is ours, whoever has it; channel: open it, whoever has the name), expect
-- ('' = nothing said)
local owner = redis.call('GET', KEYS[4])
local taken = owner and owner ~= ARGV[1]
if taken and ARGV[5] == '' then return {owner, 0} end
if not taken or ARGV[5] == 'name' then redis.call('SET', KEYS[4], ARGV[1]) end
open_channel(KEYS[1], KEYS[2])
if ARGV[3] == '1' then
  -- The first explicit registration may come after an upload; it moves nothing. A later one begins after what was told.
  local again = redis.call('HSETNX', KEYS[1], 'reg', 1) == 0
  local h = redis.call('HMGET', KEYS[1], 'told', 'mark', 'expect', 'done', 'failed', 'round')
  if again and tonumber(h[1]) > tonumber(h[2]) then redis.call('HSET', KEYS[1], 'mark', h[1]) end
  local waiting = h[3] and tonumber(h[4] or '0') + tonumber(h[5] or '0') < tonumber(h[3])
  if not (waiting and ARGV[4] == '' and ARGV[6] == '') then -- else who comes back, and what was expected still is
    redis.call('HDEL', KEYS[1], 'expect')
    if again then
      redis.call('HDEL', KEYS[1], 'done', 'failed')
      redis.call('HSET', KEYS[1], 'round', tonumber(h[6] or '1') + 1)
    end
  end
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'expect', ARGV[6], 'keep', 0) end
end
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'keep', ARGV[4]) end
keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[1], ARGV[2])
return {ARGV[1], owner and 0 or 1}
