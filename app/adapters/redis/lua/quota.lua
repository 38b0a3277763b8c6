-- Count ARGV[2] more of a quota, unless that is over ARGV[1] in the window: {counted, how much is left, ms until there is more}.
-- Two counts stand for a sliding window: of the one before, as much counts as still reaches into it, as if it had been even.
-- KEYS quota  ARGV amount, cost, window ms
local amount, cost, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local number, into = math.floor(now / window), now % window
local h = redis.call('HMGET', KEYS[1], 'window', 'count', 'before')
local known, count, before = tonumber(h[1] or '0'), 0, 0
if known == number then count, before = tonumber(h[2]), tonumber(h[3]) end
if known == number - 1 then before = tonumber(h[2]) end
local used = count + before * (window - into) / window
local counted = used + cost <= amount
if counted then
  count, used = count + cost, used + cost
  redis.call('HSET', KEYS[1], 'window', number, 'count', count, 'before', before)
  redis.call('PEXPIRE', KEYS[1], 2 * window - into)
end
local more = window - into
if before > 0 then more = math.min(more, window / before) end
return {counted and 1 or 0, math.max(0, math.floor(amount - used)), math.ceil(more)}
