-- Open a run: record, first event, and its place among those that wait for their turn in the lane; the Celery message goes when it has it. All or
-- nothing. 0: the ledger has this run, or a later one.
-- KEYS channel, stream, busy, alias, source, timeline, open, running, waiting, receiving
-- ARGV member, owner, source, run, ws, upload, grace ms, ttl, body, message, live, prefix, turns, lane, accepted at (ms; 0: just now)
local run, lane = tonumber(ARGV[4]), ARGV[14]
local t = turns_of(ARGV[12], ARGV[2], ARGV[13], ARGV[7])
local before = redis.call('HMGET', KEYS[5], 'run', 'lane')
local new = run > tonumber(before[1] or '0')
-- First a write that a full server refuses: once a script has written, the server lets it go on over its limit.
if new then wait_turn(t, lane, ARGV[3]) end
if ARGV[6] ~= '' then redis.call('ZREM', KEYS[10], ARGV[6]) end
if not new then return 0 end
local missed = before[2] -- the lane of a run before, whose end we missed
if missed then redis.call('SREM', taken_in(t, missed), ARGV[3]) end
redis.call('DEL', KEYS[5], KEYS[6])
redis.call('HSET', KEYS[5], 'run', run, 'state', 'accepted', 'ws', ARGV[5], 'attempt', 0, 'lease', 0, 'requeues', 0, 'progress', 0, 'lane', lane)
note(KEYS[6], 0, 'accepted')
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('HDEL', KEYS[8], ARGV[1])
if missed and missed ~= lane then end_turn(t, missed, ARGV[3]) end
wake(t, lane, ARGV[3], ARGV[10])
if redis.call('ZSCORE', KEYS[9], ARGV[3]) then redis.call('HSET', KEYS[5], 'job', ARGV[10]) end
redis.call('SADD', KEYS[3], ARGV[3])
local holder = redis.call('GET', KEYS[4])
if not holder or (holder ~= ARGV[2] and began(ARGV[12] .. 'channel:' .. holder .. '~' .. ARGV[5]) > tonumber(ARGV[15]) and ARGV[15] ~= '0') then
  redis.call('SET', KEYS[4], ARGV[2]) -- also from whoever took the name after a wipe
end
append(KEYS[1], KEYS[2], ARGV[11], ARGV[3], run, 0, 0, ARGV[9])
keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2], ARGV[8])
return 1
