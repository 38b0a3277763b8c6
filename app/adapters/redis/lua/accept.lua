-- Open a run: record, first event and Celery message, all or nothing. 0: the ledger has this run, or a later one.
-- KEYS channel, stream, busy, alias, source, timeline, open, running, queue, receiving
-- ARGV member, owner, source, run, ws, upload, grace ms, ttl, body, message, live
local run = tonumber(ARGV[4])
local new = run > tonumber(redis.call('HGET', KEYS[5], 'run') or '0')
-- First the one write that a full server refuses: once a script has written, the server lets it go on over its limit.
if new then redis.call('LPUSH', KEYS[9], ARGV[10]) end
if ARGV[6] ~= '' then redis.call('ZREM', KEYS[10], ARGV[6]) end
if not new then return 0 end
redis.call('DEL', KEYS[5], KEYS[6])
redis.call('HSET', KEYS[5], 'run', run, 'state', 'accepted', 'ws', ARGV[5], 'attempt', 0, 'lease', 0, 'requeues', 0, 'progress', 0)
note(KEYS[6], 0, 'accepted')
redis.call('ZADD', KEYS[7], now + ARGV[7], ARGV[1])
redis.call('HDEL', KEYS[8], ARGV[1]) -- of a run before, whose end we missed
redis.call('SADD', KEYS[3], ARGV[3])
redis.call('SET', KEYS[4], ARGV[2], 'NX')
append(KEYS[1], KEYS[2], ARGV[11], ARGV[3], run, 0, 0, ARGV[9])
keep(KEYS[1], KEYS[2], KEYS[3], KEYS[4], ARGV[2], ARGV[8])
return 1
