-- Print what wrk has found as JSON; latencies in milliseconds.
--
-- A slow page is answered a few times only, and what is under way when wrk stops is lost. With
-- EXACT=1 the rate is therefore taken between the end of the first requests, one for each
-- connection, and the end of the last. That costs wrk too much for the fastest pages.
local ffi = require("ffi")
ffi.cdef("typedef struct { long s, us; } tv; int gettimeofday(tv *t, void *zone);")
local tv = ffi.new("tv")
local threads = {}
answers, first, last = 0, 0, 0

function setup(thread)
  table.insert(threads, thread)
end

if os.getenv("EXACT") == "1" then
  local connections = tonumber(os.getenv("CONNECTIONS"))
  function response()
    ffi.C.gettimeofday(tv, nil)
    answers = answers + 1
    last = tonumber(tv.s) + tonumber(tv.us) / 1e6
    if answers == connections then first = last end
  end
end

function done(summary, latency)
  local thread, errors = threads[1], summary.errors
  local seconds, requests = summary.duration / 1e6, summary.requests
  if thread:get("first") > 0 and thread:get("last") > thread:get("first") then
    requests = thread:get("answers") - tonumber(os.getenv("CONNECTIONS"))
    seconds = thread:get("last") - thread:get("first")
  end
  local form = '{"answers": %d, "rate": %f, "p50": %f, "p99": %f, "broken": %d, "refused": %d}\n'
  io.write(form:format(summary.requests, requests / seconds, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.connect + errors.read + errors.write + errors.timeout,
    errors.status))
end
