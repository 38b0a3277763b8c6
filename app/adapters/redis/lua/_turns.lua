-- Turns (docs/adr/0018). In a lane each owner has so many: a run has one from when its Celery message is sent until it ends; the others wait, first come first.
-- Who waits has its message in its hash (job), so that whoever ends a run can send the next one's. seq is the number of its message in the lane.
local DAY = 86400

local function turns_of(prefix, owner, cap, grace)
  return {prefix = prefix, owner = owner, cap = tonumber(cap), grace = tonumber(grace or '0')}
end

local function taken_in(t, lane)
  return t.prefix .. 'turns:' .. t.owner .. '~' .. lane
end

local function waiting_in(t, lane)
  return t.prefix .. 'waiting:' .. t.owner .. '~' .. lane
end

local function send(t, lane, source_key, job)
  local sent = t.prefix .. 'sent'
  redis.call('LPUSH', t.prefix .. 'headrace.' .. lane, job)
  redis.call('HSET', source_key, 'seq', redis.call('HINCRBY', sent, lane, 1))
  redis.call('EXPIRE', sent, DAY)
end

-- How many messages of the lane workers have taken, and how many are left. Approximate: what kombu puts back was counted already.
local function taken_and_left(t, lane)
  local left = redis.call('LLEN', t.prefix .. 'headrace.' .. lane)
  return tonumber(redis.call('HGET', t.prefix .. 'sent', lane) or '0') - left, left
end

-- Whether the message of that number is still in the lane. Wrongly 'yes' at the most until the lane is empty.
local function is_sent(t, lane, seq)
  local taken, left = taken_and_left(t, lane)
  seq = tonumber(seq or '0')
  return seq > taken and seq <= taken + left
end

local function wait_turn(t, lane, source)
  redis.call('ZADD', waiting_in(t, lane), 'NX', clock[1] * 1000000 + clock[2], source)
end

-- It has its turn, whether there was one left or not: it is at work.
local function hold_turn(t, lane, source)
  redis.call('SADD', taken_in(t, lane), source)
  redis.call('ZREM', waiting_in(t, lane), source)
end

-- True: it has its turn from now on, if it had none before.
local function take_turn(t, lane, source)
  local taken = taken_in(t, lane)
  if redis.call('SISMEMBER', taken, source) == 0 then
    if redis.call('SCARD', taken) >= t.cap then return false end
    hold_turn(t, lane, source)
  end
  return true
end

-- A run that was handed out waits after all.
local function park(t, lane, source, source_key, job)
  wait_turn(t, lane, source)
  redis.call('HSET', source_key, 'job', job)
  redis.call('ZREM', t.prefix .. 'open', t.owner .. '~' .. source)
  redis.call('HDEL', t.prefix .. 'running', t.owner .. '~' .. source) -- of a run before, whose end we missed
  redis.call('SADD', t.prefix .. 'queueing', t.owner .. '~' .. lane)
end

-- Give the turns that are left to those who wait. new, job: who has just begun to wait; its message is not in its hash, which would never be small again.
local function wake(t, lane, new, job)
  local taken, waiting = taken_in(t, lane), waiting_in(t, lane)
  local left, woken = t.cap - redis.call('SCARD', taken), 0
  while left > 0 do
    local source = redis.call('ZPOPMIN', waiting)[1]
    if not source then break end
    local member = t.owner .. '~' .. source
    local key = t.prefix .. 'source:' .. member
    local h = redis.call('HMGET', key, 'state', 'job', 'lane')
    local kept = source == new and job or h[2]
    if h[1] == 'accepted' and kept and h[3] == lane then
      redis.call('SADD', taken, source)
      send(t, lane, key, kept)
      redis.call('HDEL', key, 'job')
      redis.call('ZADD', t.prefix .. 'open', now + t.grace, member)
      left, woken = left - 1, woken + 1
    end
  end
  redis.call(redis.call('ZCARD', waiting) > 0 and 'SADD' or 'SREM', t.prefix .. 'queueing', t.owner .. '~' .. lane)
  return woken
end

-- A run is over, or another run of its source takes its place.
local function end_turn(t, lane, source)
  if not lane then return end
  redis.call('SREM', taken_in(t, lane), source)
  redis.call('ZREM', waiting_in(t, lane), source)
  wake(t, lane)
end

