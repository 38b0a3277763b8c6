-- What a reader needs to know of a channel: n, e, mark, keep, and how many sources are open or being received. Empty: not registered.
-- KEYS channel, busy, receiving
local h = redis.call('HMGET', KEYS[1], 'n', 'e', 'mark', 'keep')
if not h[2] then return {} end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
return {h[1], h[2], h[3], h[4] or '0', redis.call('SCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3])}
