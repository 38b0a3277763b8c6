-- Begins every script. A channel's hash: n (head), e (epoch), mark, told, keep, reg, and s:<source> = "run:attempt:seq" of its last milestone.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local LAST = 999999 -- the attempt of a terminal milestone: nothing of the same run comes after it

local function terminal(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled'
end

local function note(timeline, attempt, what)
  redis.call('RPUSH', timeline, now .. ' ' .. attempt .. ' ' .. what)
  redis.call('LTRIM', timeline, -200, -1)
end

-- A channel begins, without a past: its epoch is the moment, so a channel that a wipe took gets another one.
local function open_channel(chan, stream)
  if redis.call('HSETNX', chan, 'e', string.format('%x%05x', clock[1], clock[2])) == 1 then
    redis.call('HSET', chan, 'n', 0, 'mark', 0, 'told', 0)
    redis.call('DEL', stream)
  end
end

-- A channel lives while a source of it is open, and from now on for so many seconds when none is. Its bare name too, if it is the owner's.
local function keep(chan, stream, busy, alias, owner, seconds)
  local open = redis.call('SCARD', busy) > 0
  local function hold(key, extra)
    if open then redis.call('PERSIST', key) else redis.call('EXPIRE', key, seconds + extra) end
  end
  hold(stream, 0)
  hold(chan, 60) -- the head must outlive the history, or offsets would begin again
  if redis.call('GET', alias) == owner then hold(alias, 0) end
end

-- One milestone, once per (source, run, attempt, seq). Returns its offset, or 0 when it (or a later one) was there.
local function append(chan, stream, live, source, run, attempt, seq, body)
  open_channel(chan, stream)
  local last = redis.call('HGET', chan, 's:' .. source)
  if last then
    local r, a, s = string.match(last, '(%d+):(%d+):(%d+)')
    r, a, s = tonumber(r), tonumber(a), tonumber(s)
    if r > run or (r == run and (a > attempt or (a == attempt and s >= seq))) then return 0 end
  end
  local n = redis.call('HINCRBY', chan, 'n', 1)
  local e = redis.call('HGET', chan, 'e')
  local json = '{"event-id":"' .. e .. ':' .. n .. '",' .. string.sub(body, 2)
  redis.call('XADD', stream, 'MAXLEN', '~', 1000, n .. '-0', 'd', json)
  redis.call('HSET', chan, 's:' .. source, run .. ':' .. attempt .. ':' .. seq)
  redis.call('PUBLISH', live, 'm ' .. n .. ' ' .. e .. ' ' .. json)
  return n
end

