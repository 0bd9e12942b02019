-- wrk: a request that nobody has made before, so that no reply to it can have been kept.
local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("own", os.time() .. "." .. threads)
end

local count = 0

function request()
  count = count + 1
  return wrk.format(nil, wrk.path .. "&bench=" .. own .. "." .. count)
end
