-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- What the policies decided: a counter for each decision, a variable for the access log. Counters lie in the dictionary `decisions`, or
-- where that is not declared in the policy's own, in keys `count|POLICY|NAME|DECISION`; NAME may be empty. README.md says how to use it.

local _M = {}

local function dict_of(policy)
  return ngx.shared.decisions or ngx.shared[policy]
end

-- Counts a decision of a policy about NAME (an upstream, a limit, "" if it has but one), and sets `variable` where it is declared.
-- Needs a request.
function _M.note(policy, name, decision, variable)
  _M.count(policy, name, decision)
  _M.tell(decision, variable)
end

-- Only sets the variable: again, where an internal redirect may have run its `set` again.
function _M.tell(decision, variable)
  if ngx.var[variable] then ngx.var[variable] = decision end
end

function _M.count(policy, name, decision)
  local d = dict_of(policy)
  if not d then return end
  local _, err = d:incr("count|" .. policy .. "|" .. name .. "|" .. decision, 1, 0)
  if err then ngx.log(ngx.WARN, policy, ": a decision is not counted: ", err) end
end

-- The counters of a policy, or of all with nil: { policy, name, decision, count } each.
local function counters(policy)
  local d = dict_of(policy or "decisions")
  local found = {}
  for _, key in ipairs(d and d:get_keys(0) or {}) do
    local of, name, decision = key:match("^count|([%l_]+)|(.*)|([%l_]+)$")
    if of and (not policy or of == policy) then
      found[#found + 1] = { policy = of, name = name, decision = decision, count = d:get(key) or 0 }
    end
  end
  return found
end

-- What a policy has decided about: the names, sorted.
function _M.names(policy)
  local seen, names = {}, {}
  for _, counter in ipairs(counters(policy)) do
    if not seen[counter.name] then names[#names + 1] = counter.name end
    seen[counter.name] = true
  end
  table.sort(names)
  return names
end

-- NAME="VALUE" as Prometheus reads it.
function _M.label(name, value)
  return name .. '="' .. value:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }) .. '"'
end

-- The counters as lines of Prometheus' text format, sorted; a policy that has decided nothing yet has its heading.
function _M.lines(policy)
  local families, order = {}, {}
  local function family(of)
    if not families[of] then
      families[of] = {}
      order[#order + 1] = of
    end
    return families[of]
  end
  if policy then family(policy) end
  for _, c in ipairs(counters(policy)) do
    local name = c.name == "" and "" or _M.label("name", c.name) .. ","
    table.insert(family(c.policy), ("%s_decisions_total{%s%s} %d"):format(c.policy, name, _M.label("decision", c.decision), c.count))
  end
  table.sort(order)
  local lines = {}
  for _, of in ipairs(order) do
    lines[#lines + 1] = "# TYPE " .. of .. "_decisions_total counter"
    table.sort(families[of])
    for _, line in ipairs(families[of]) do lines[#lines + 1] = line end
  end
  return lines
end

-- For content_by_lua: the lines, and those in `more`.
function _M.metrics(policy, more)
  local lines = _M.lines(policy)
  for _, line in ipairs(more or {}) do lines[#lines + 1] = line end
  ngx.header.content_type = "text/plain; version=0.0.4"
  ngx.say(table.concat(lines, "\n"))
end

return _M
