"""The pipes' services, asked by impacket: rpc_impacket.py PORT USER PASSWORD. Prints what it found, a line each."""

import sys

from impacket.dcerpc.v5 import lsad, lsat, samr, srvs, transport, wkst
from impacket.dcerpc.v5.dtypes import MAXIMUM_ALLOWED
from impacket.dcerpc.v5.rpcrt import (
    DCERPCException, RPC_C_AUTHN_LEVEL_CONNECT, RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY, RPC_C_AUTHN_WINNT)

port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def connect(pipe, interface, fragment=None, level=None, secret=None):
    """`level`: RPC's own authentication, by NTLM, with another password than the session's if need be."""
    binding = transport.DCERPCTransportFactory(rf"ncacn_np:127.0.0.1[\pipe\{pipe}]")
    binding.set_dport(port)
    binding.setRemoteHost("127.0.0.1")
    binding.set_credentials(user, password)
    dce = binding.get_dce_rpc()
    if fragment:
        dce.set_max_fragment_size(fragment)
    if level:
        dce.set_auth_type(RPC_C_AUTHN_WINNT)
        dce.set_auth_level(level)
        dce.set_credentials(user, secret or password)
    dce.connect()
    dce.bind(interface)
    return dce


def look_up(fragment, level=None):
    """1000 SIDs in one call, as lookupsid.py asks: with `fragment` the request comes in many pieces."""
    dce = connect("lsarpc", lsat.MSRPC_UUID_LSAT, fragment, level)
    policy = lsad.hLsarOpenPolicy2(dce, MAXIMUM_ALLOWED | lsat.POLICY_LOOKUP_NAMES)["PolicyHandle"]
    answer = lsad.hLsarQueryInformationPolicy2(
        dce, policy, lsad.POLICY_INFORMATION_CLASS.PolicyAccountDomainInformation)
    domain = answer["PolicyInformation"]["PolicyAccountDomainInfo"]["DomainSid"].formatCanonical()
    sids = [f"{domain}-{rid}" for rid in range(500, 1500)]
    try:
        answer = lsat.hLsarLookupSids(dce, policy, sids, lsat.LSAP_LOOKUP_LEVEL.LsapLookupWksta)
    except DCERPCException as error:
        if "STATUS_SOME_NOT_MAPPED" not in str(error):
            raise
        answer = error.get_packet()
    for index, name in enumerate(answer["TranslatedNames"]["Names"]):
        if name["Use"] != 8:
            print(f"sid {500 + index} {name['Name']} {int(name['Use'])} fragment {fragment} level {level}")
    dce.disconnect()


look_up(None)
look_up(1024)
for level in (RPC_C_AUTHN_LEVEL_CONNECT, RPC_C_AUTHN_LEVEL_PKT_INTEGRITY, RPC_C_AUTHN_LEVEL_PKT_PRIVACY):
    look_up(None, level)
    look_up(1024, level)
try:
    srvs.hNetrRemoteTOD(
        connect("srvsvc", srvs.MSRPC_UUID_SRVS, level=RPC_C_AUTHN_LEVEL_PKT_PRIVACY, secret=password + "?"))
    print("a wrong password was taken")
except DCERPCException as error:
    print(f"wrong password: {error}")

dce = connect("samr", samr.MSRPC_UUID_SAMR)
server = samr.hSamrConnect5(dce)["ServerHandle"] if hasattr(samr, "hSamrConnect5") else \
    samr.hSamrConnect(dce)["ServerHandle"]
for found in samr.hSamrEnumerateDomainsInSamServer(dce, server)["Buffer"]["Buffer"]:
    name = found["Name"]
    sid = samr.hSamrLookupDomainInSamServer(dce, server, name)["DomainId"]
    domain = samr.hSamrOpenDomain(dce, server, domainId=sid)["DomainHandle"]
    for entry in samr.hSamrEnumerateUsersInDomain(dce, domain)["Buffer"]["Buffer"] or []:
        handle = samr.hSamrOpenUser(dce, domain, MAXIMUM_ALLOWED, entry["RelativeId"])["UserHandle"]
        information = samr.hSamrQueryInformationUser2(
            dce, handle, samr.USER_INFORMATION_CLASS.UserAllInformation)["Buffer"]["All"]
        groups = samr.hSamrGetGroupsForUser(dce, handle)["Groups"]["Groups"]
        print(f"user {information['UserName']} {information['UserId']} groups {[g['RelativeId'] for g in groups]}")
        samr.hSamrCloseHandle(dce, handle)
dce.disconnect()

dce = connect("srvsvc", srvs.MSRPC_UUID_SRVS)
for level in (0, 1, 2, 501, 502):
    shares = srvs.hNetrShareEnum(dce, level)["InfoStruct"]["ShareInfo"][f"Level{level}"]["Buffer"]
    print(f"shares {level} {[s[f'shi{level}_netname'].rstrip(chr(0)) for s in shares]}")
sessions = srvs.hNetrSessionEnum(dce, "\0", "\0", 10)["InfoStruct"]["SessionInfo"]["Level10"]["Buffer"]
print(f"sessions {sorted({s['sesi10_username'].rstrip(chr(0)) for s in sessions})}")
print(f"year {srvs.hNetrRemoteTOD(dce)['BufferPtr']['tod_year']}")
for level in (100, 101, 102):
    name = srvs.hNetrServerGetInfo(dce, level)["InfoStruct"][f"ServerInfo{level}"][f"sv{level}_name"]
    print(f"server {level} {name.rstrip(chr(0))}")
dce.disconnect()

dce = connect("wkssvc", wkst.MSRPC_UUID_WKST)
for level in (100, 101, 102):
    information = wkst.hNetrWkstaGetInfo(dce, level)["WkstaInfo"][f"WkstaInfo{level}"]
    print(f"workstation {level} {information[f'wki{level}_computername'].rstrip(chr(0))}")
dce.disconnect()
