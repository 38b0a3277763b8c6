-- Take a run for one attempt: {kind, attempt, worker, lost, progress}; what was tried too often is of the kind 'spent <code>'.
-- The same fence again is the same call, repeated: the same answer.
-- KEYS channel, stream, busy, alias, source, timeline, open, running
-- ARGV member, owner, source, run, ws, fence, worker, lease ms, cap, dead worker, ttl, prefix, turns, lane, message, grace ms
local run = tonumber(ARGV[4])
local h = redis.call('HMGET', KEYS[5], 'run', 'state', 'attempt', 'lease', 'worker', 'progress', 'fence', 'lost', 'overran')
local known = tonumber(h[1] or '0')
if known > run or (known == run and terminal(h[2])) then return {'over', 0, '', 0, 0} end
local attempt, progress, lost = 0, 0, 0
local t, lane = turns_of(ARGV[12], ARGV[2], ARGV[13], ARGV[16]), ARGV[14]
if known == run then
  attempt, progress, lane = tonumber(h[3]), tonumber(h[6]), redis.call('HGET', KEYS[5], 'lane') or lane
else -- wiped, or the message overtook its record
  end_turn(t, redis.call('HGET', KEYS[5], 'lane'), ARGV[3])
  redis.call('DEL', KEYS[5], KEYS[6])
  redis.call('HSET', KEYS[5], 'run', run, 'ws', ARGV[5], 'requeues', 0, 'progress', 0, 'lane', lane)
  redis.call('SADD', KEYS[3], ARGV[3])
  keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2], ARGV[11])
end
if known == run and h[2] == 'processing' and h[7] == ARGV[6] then
  lost = tonumber(h[8] or '0')
else
  if known == run and tonumber(h[4]) > now and h[5] ~= ARGV[10] then return {'busy', attempt, h[5], 0, 0} end
  if known == run and h[2] == 'processing' then
    hold_turn(t, lane, ARGV[3])
  elseif not take_turn(t, lane, ARGV[3]) then
    redis.call('HSET', KEYS[5], 'state', 'accepted', 'attempt', attempt, 'lease', 0)
    redis.call('HDEL', KEYS[8], ARGV[1]) -- of a run before, whose end we missed
    park(t, lane, ARGV[3], KEYS[5], ARGV[15])
    return {'waits', attempt, '', 0, 0, ''}
  end
  if known == run and h[2] == 'processing' then
    lost = 1
    note(KEYS[6], attempt, 'worker lost')
  end
  attempt = attempt + 1
  note(KEYS[6], attempt, 'claimed')
end
redis.call('HSET', KEYS[5], 'state', 'processing', 'attempt', attempt, 'fence', ARGV[6], 'worker', ARGV[7], 'lease', now + ARGV[8], 'lost', lost)
redis.call('ZADD', KEYS[7], now + ARGV[8], ARGV[1])
redis.call('HSET', KEYS[8], ARGV[1], run .. ' ' .. ARGV[7])
local kind, cap = 'ok', tonumber(ARGV[9])
if attempt > cap then kind = 'spent crash' elseif known == run and tonumber(h[9] or '0') >= cap then kind = 'spent timeout' end
return {kind, attempt, ARGV[7], lost, progress}
