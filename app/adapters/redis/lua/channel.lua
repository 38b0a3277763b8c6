-- What a reader needs to know of a channel: n, e, mark, keep, how many sources are open or being received, the first offset kept, reg, expect,
-- how many have ended, past, whether the server began another life since.
-- Empty: not registered.  KEYS channel, busy, receiving, stream
local h = redis.call('HMGET', KEYS[1], 'n', 'e', 'mark', 'keep', 'reg', 'expect', 'done', 'failed', 'past', 'life')
if not h[2] then return {} end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local first = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
local offset = first and string.match(first[1], '%d+') or h[1] + 1
local busy = redis.call('SCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3])
local ended = tonumber(h[7] or '0') + tonumber(h[8] or '0')
local restarted = (h[9] or h[10] ~= life()) and 1 or 0
return {h[1], h[2], h[3], h[4] or '0', busy, tonumber(offset), h[5] or '0', tonumber(h[6] or '0'), ended, h[9] or '', restarted}
