-- Epoch and head of each channel, as two lists of one length, and the server's life; nothing where a channel is not registered.  KEYS channels
local epochs, heads = {}, {}
for i, chan in ipairs(KEYS) do
  local h = redis.call('HMGET', chan, 'e', 'n')
  epochs[i], heads[i] = h[1], h[2]
end
return {epochs, heads, life()}
