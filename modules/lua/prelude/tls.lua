-- SPDX-License-Identifier: BSD-2-Clause
-- Copyright (C) The Fairlead authors
--
-- What require "ngx.ssl" and its kin give, over the functions of api_tls.cc and its neighbours.
local ngx = ...
local tls = ngx._tls
ngx._tls = nil

local ffi = require "ffi"
local voidp = ffi.typeof("void *")
local registry = debug.getregistry()
registry["fairlead.pointer"] = function(pointer) return ffi.cast(voidp, pointer) end
local slot = ffi.new("const void *[1]")
registry["fairlead.as_pointer"] = function(value)
  slot[0] = value
  return slot
end
registry["fairlead.held_pointer"] = function(pointer, free) return ffi.gc(ffi.cast(voidp, pointer), free) end

local function preload(name, made)
  made.version = "0.1.28"
  package.preload[name] = function() return made end
end

local versions = { [0x0300] = "SSLv3", [0x0301] = "TLSv1", [0x0302] = "TLSv1.1", [0x0303] = "TLSv1.2", [0x0304] = "TLSv1.3" }

local function text_of(get_version)
  return function()
    local version, err = get_version()
    if not version then return nil, err end
    return versions[version] or nil, not versions[version] and "unknown version" or nil
  end
end

local ssl = {
  SSL3_VERSION = 0x0300, TLS1_VERSION = 0x0301, TLS1_1_VERSION = 0x0302, TLS1_2_VERSION = 0x0303, TLS1_3_VERSION = 0x0304,
  get_tls1_version_str = text_of(tls.get_tls1_version),
}
for _, name in ipairs {
  "parse_pem_cert", "parse_der_cert", "parse_pem_priv_key", "parse_der_priv_key", "cert_pem_to_der", "priv_key_pem_to_der", "clear_certs",
  "set_cert", "set_der_cert", "set_priv_key", "set_der_priv_key", "verify_client", "server_name", "server_port", "raw_server_addr",
  "raw_client_addr", "get_tls1_version", "get_client_random", "get_server_random", "get_shared_ssl_ciphers", "export_keying_material",
  "get_req_ssl_pointer",
} do
  ssl[name] = tls[name]
end
preload("ngx.ssl", ssl)

preload("ngx.proxyssl", {
  get_tls1_version = tls.get_peer_tls1_version,
  get_tls1_version_str = text_of(tls.get_peer_tls1_version),
})

preload("ngx.ssl.clienthello", {
  get_client_hello_server_name = tls.get_hello_server_name,
  get_client_hello_ext = tls.get_hello_ext,
  get_client_hello_ext_present = tls.get_hello_ext_present,
  get_client_hello_ciphers = tls.get_hello_ciphers,
  get_supported_versions = function()
    local numbers = tls.get_hello_versions()
    if not numbers then return nil end
    local names = {}
    for _, number in ipairs(numbers) do names[#names + 1] = versions[number] end
    return names
  end,
  set_protocols = tls.set_protocols,
})

preload("ngx.ssl.session", {
  get_session_id = tls.get_session_id,
  get_serialized_session = tls.get_serialized_session,
  set_serialized_session = tls.set_serialized_session,
})

preload("ngx.ssl.proxysslcert", {
  clear_certs = tls.clear_certs, set_cert = tls.set_cert, set_der_cert = tls.set_der_cert, set_priv_key = tls.set_priv_key,
  set_der_priv_key = tls.set_der_priv_key,
})

preload("ngx.ssl.proxysslverify", {
  set_verify_result = tls.set_verify_result, get_verify_result = tls.get_verify_result, get_verify_cert = tls.get_verify_cert,
})

preload("ngx.ocsp", {
  get_ocsp_responder_from_der_chain = tls.ocsp_get_responder,
  create_ocsp_request = tls.ocsp_create_request,
  validate_ocsp_response = tls.ocsp_validate_response,
  set_ocsp_status_resp = tls.ocsp_set_status,
})
