-- Begins every script. A channel's hash: n (head), e (epoch), life (of the server, when it began), past ("<epoch>:<its last offset> …", oldest first),
-- mark, told, keep, reg, expect, done and failed (sources that ended in this round), round (which count that is), and
-- s:<source> = "run:attempt:seq" of its last milestone, with ":<round><fate>" after an end that is counted.
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

-- Which life of the server this is: another one after each start, and where a replica took over. '' where we may not ask. Some 9 microseconds.
local lived
local function life()
  if not lived then
    local server = redis.pcall('INFO', 'server')
    lived = type(server) == 'string' and string.sub(string.match(server, 'run_id:(%x+)') or '', 1, 12) or ''
  end
  return lived
end

-- An epoch is the moment when it began, so a channel that a wipe took gets another one.
local function moment()
  return string.format('%x%05x', clock[1], clock[2])
end

-- A channel begins, without a past.
local function open_channel(chan, stream)
  if redis.call('HSETNX', chan, 'e', moment()) == 1 then
    redis.call('HSET', chan, 'n', 0, 'mark', 0, 'told', 0, 'life', life())
    redis.call('DEL', stream)
  end
end

-- When a channel began, in ms; never, as seen from now, when it is not there.
local function began(chan)
  local e = redis.call('HGET', chan, 'e')
  return e and tonumber(string.sub(e, 1, -6), 16) * 1000 or 0
end

-- The server lost its tail, perhaps: offsets after the head may have been given to readers, for other messages than those that come now. So a new epoch
-- begins behind the head. Offsets go on, and who was told nothing beyond the head has lost nothing. An epoch that is forgotten takes its messages with it.
local EPOCHS = 16
local function next_epoch(chan, stream, head, epoch, past)
  local ends = {}
  for each in string.gmatch(past or '', '%S+') do ends[#ends + 1] = each end
  ends[#ends + 1] = epoch .. ':' .. head
  if #ends > EPOCHS then redis.call('XTRIM', stream, 'MINID', string.match(table.remove(ends, 1), ':(%d+)') + 1 .. '-0') end
  redis.call('HSET', chan, 'e', moment(), 'life', life(), 'past', table.concat(ends, ' '))
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

-- The next message of a channel that is kept. Returns its offset.
local function say(chan, stream, live, body)
  local h = redis.call('HMGET', chan, 'n', 'e', 'life', 'past')
  if h[3] ~= life() then next_epoch(chan, stream, h[1], h[2], h[4]) end
  local n = redis.call('HINCRBY', chan, 'n', 1)
  local e = redis.call('HGET', chan, 'e')
  local json = '{"event-id":"' .. e .. ':' .. n .. '",' .. string.sub(body, 2)
  redis.call('XADD', stream, 'MAXLEN', '~', 1000, n .. '-0', 'd', json)
  redis.call('PUBLISH', live, 'm ' .. n .. ' ' .. e .. ' ' .. json)
  return n
end

local function round_of(chan)
  return redis.call('HGET', chan, 'round') or '1'
end

-- One milestone, once per (source, run, attempt, seq). Returns its offset, or 0 when it (or a later one) was there.
-- fate, of an end only: 'done' or 'failed'. A source counts once in a round, for its latest run: a new run takes back what the one before counted.
local function append(chan, stream, live, source, run, attempt, seq, body, fate)
  open_channel(chan, stream)
  local field = 's:' .. source
  local last = redis.call('HGET', chan, field)
  if last then
    local r, a, s, of, counted = string.match(last, '(%d+):(%d+):(%d+):?(%d*)(%a*)')
    r, a, s = tonumber(r), tonumber(a), tonumber(s)
    if r > run or (r == run and (a > attempt or (a == attempt and s >= seq))) then return 0 end
    if of ~= '' and of == round_of(chan) then redis.call('HINCRBY', chan, counted, -1) end
  end
  local at = run .. ':' .. attempt .. ':' .. seq
  if fate then
    redis.call('HINCRBY', chan, fate, 1)
    at = at .. ':' .. round_of(chan) .. fate
  end
  redis.call('HSET', chan, field, at)
  return say(chan, stream, live, body)
end

-- After an end: the roll-up, where there is more than one source to roll up. Its `at` is that of the end.
local function batch(chan, stream, live, busy, body)
  local h = redis.call('HMGET', chan, 'expect', 'done', 'failed')
  local expected, done, failed = tonumber(h[1] or '0'), tonumber(h[2] or '0'), tonumber(h[3] or '0')
  local ended = done + failed
  local total = math.max(expected, ended + redis.call('SCARD', busy))
  if expected == 0 and total < 2 then return end
  say(chan, stream, live, '{"event":"batch","at":"' .. string.match(body, '"at":"([^"]+)"') .. '","status":"batch","done":' .. done .. ',"failed":' .. failed
    .. ',"total":' .. total .. ',"percent":' .. math.floor(100 * ended / total) .. '}')
end

