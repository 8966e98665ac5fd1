"""smbprotocol from PyPI against the server: foreign_smbprotocol.py PORT USER PASSWORD. A line for each thing that went well;
the first that does not ends it with a traceback.
"""

import hashlib
import os
import sys
import time
import uuid

import smbclient
from smbprotocol.change_notify import CompletionFilter, FileSystemWatcher
from smbprotocol.connection import Capabilities, Ciphers, Connection, Dialects, SigningAlgorithms
from smbprotocol.create_contexts import (
    CreateContextName, DurableHandleFlags, LeaseState, SMB2CreateContextRequest, SMB2CreateDurableHandleReconnectV2,
    SMB2CreateDurableHandleRequest, SMB2CreateDurableHandleRequestV2, SMB2CreateQueryMaximalAccessRequest,
    SMB2CreateRequestLease, SMB2CreateRequestLeaseV2)
from smbprotocol.exceptions import SMBResponseException
from smbprotocol.file_info import FileInformationClass
from smbprotocol.header import NtStatus
from smbprotocol.ioctl import (
    CtlCode, IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse, SMB2SrvCopyChunk, SMB2SrvCopyChunkCopy,
    SMB2SrvCopyChunkResponse, SMB2SrvRequestResumeKey)
from smbprotocol.open import (
    CreateDisposition, CreateOptions, DirectoryAccessMask, FileAttributes, FilePipePrinterAccessMask,
    ImpersonationLevel, Open, QueryDirectoryFlags, RequestedOplockLevel, ShareAccess)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]
HOST = "127.0.0.1"
CHUNK = 1 << 16
# STATUS_FILE_NOT_AVAILABLE, which the package has no name for.
FILE_NOT_AVAILABLE = 0xC0000467
ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
READ_WRITE = (FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE
              | FilePipePrinterAccessMask.DELETE)
DIALECTS = {"2.0.2": Dialects.SMB_2_0_2, "2.1": Dialects.SMB_2_1_0, "3.0": Dialects.SMB_3_0_0,
            "3.0.2": Dialects.SMB_3_0_2, "3.1.1": Dialects.SMB_3_1_1}
CIPHERS = {"AES-128-CCM": Ciphers.AES_128_CCM, "AES-128-GCM": Ciphers.AES_128_GCM,
           "AES-256-CCM": Ciphers.AES_256_CCM, "AES-256-GCM": Ciphers.AES_256_GCM}
SIGNINGS = {"HMAC-SHA256": SigningAlgorithms.HMAC_SHA256, "AES-CMAC": SigningAlgorithms.AES_CMAC,
            "AES-GMAC": SigningAlgorithms.AES_GMAC}


class Client:
    def __init__(self, dialect=Dialects.SMB_3_1_1, share="test", encrypt=False, guid=None, **algorithms):
        self.connection = Connection(guid or uuid.uuid4(), HOST, port)
        # The package keeps no handles by itself, and does not say that its user may.
        self.connection.client_capabilities |= Capabilities.SMB2_GLOBAL_CAP_PERSISTENT_HANDLES
        self.connection.connect(dialect, timeout=20, **algorithms)
        self.session = Session(self.connection, user, password, require_encryption=encrypt)
        self.session.connect()
        self.tree = TreeConnect(self.session, rf"\\{HOST}\{share}")
        self.tree.connect()

    def open(self, name, disposition=CreateDisposition.FILE_OPEN_IF, options=CreateOptions.FILE_NON_DIRECTORY_FILE,
             access=READ_WRITE, share=ALL, contexts=None, oplock=RequestedOplockLevel.SMB2_OPLOCK_LEVEL_NONE):
        opened = Open(self.tree, name)
        answers = opened.create(
            ImpersonationLevel.Impersonation, access, FileAttributes.FILE_ATTRIBUTE_NORMAL, share, disposition, options,
            contexts, oplock)
        return opened, answers or []

    def round_trip(self, name, data):
        """Written, read back and compared by its digest; the file is left."""
        file, _ = self.open(name, CreateDisposition.FILE_OVERWRITE_IF)
        for at in range(0, len(data), CHUNK):
            file.write(data[at:at + CHUNK], at)
        file.flush()
        file.close()
        check(self.sum(name, len(data)) == hashlib.sha256(data).digest(), f"{name} came back different")

    def sum(self, name, length):
        file, _ = self.open(name, CreateDisposition.FILE_OPEN)
        digest = hashlib.sha256()
        for at in range(0, length, CHUNK):
            digest.update(file.read(at, min(CHUNK, length - at)))
        file.close()
        return digest.digest()

    def control(self, code, file_id, data=b"", limit=4096):
        request = SMB2IOCTLRequest()
        request["ctl_code"] = code
        request["file_id"] = file_id
        request["max_output_response"] = limit
        request["flags"] = IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
        request["buffer"] = data
        sent = self.connection.send(request, self.session.session_id, self.tree.tree_connect_id)
        answer = SMB2IOCTLResponse()
        answer.unpack(self.connection.receive(sent)["data"].get_value())
        return answer["buffer"].get_value()

    def end(self):
        self.connection.disconnect(True)

    def drop(self):
        """As if the network went: nothing is said."""
        self.connection.transport.close()


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def context(name, data):
    request = SMB2CreateContextRequest()
    request["buffer_name"] = name
    request["buffer_data"] = data
    return request


def dialects(data):
    for name, dialect in DIALECTS.items():
        client = Client(dialect)
        check(client.connection.dialect == dialect, f"{name} became {client.connection.dialect:#x}")
        client.round_trip(f"dialect {name}.bin", data)
        client.end()
        print(f"dialect {name} by SHA-256")


def ciphers(data):
    for name, cipher in CIPHERS.items():
        client = Client(encrypt=True, preferred_encryption_algos=[cipher])
        check(client.connection.cipher_id == cipher, f"{name} became {client.connection.cipher_id}")
        check(client.session.encrypt_data, "not encrypted")
        client.round_trip(f"cipher {name}.bin", data)
        client.end()
        print(f"cipher {name} by SHA-256")
    for name, signing in SIGNINGS.items():
        client = Client(preferred_signing_algos=[signing])
        check(client.connection.signing_algorithm_id == signing, f"{name} became another")
        client.round_trip(f"signing {name}.bin", data)
        client.end()
        print(f"signing {name} by SHA-256")


def leases():
    client = Client()
    states = LeaseState.SMB2_LEASE_READ_CACHING | LeaseState.SMB2_LEASE_HANDLE_CACHING | \
        LeaseState.SMB2_LEASE_WRITE_CACHING
    for version, kind, tag in ((1, SMB2CreateRequestLease, CreateContextName.SMB2_CREATE_REQUEST_LEASE),
                               (2, SMB2CreateRequestLeaseV2, CreateContextName.SMB2_CREATE_REQUEST_LEASE_V2)):
        lease = kind()
        lease["lease_key"] = os.urandom(16)
        lease["lease_state"] = states
        if version == 2:
            lease["parent_lease_key"] = bytes(16)
            lease["epoch"] = b"\x07\x00"
        file, answers = client.open(
            f"lease {version}", contexts=[context(tag, lease)], oplock=RequestedOplockLevel.SMB2_OPLOCK_LEVEL_LEASE)
        check(file.oplock_level == RequestedOplockLevel.SMB2_OPLOCK_LEVEL_LEASE, "no lease")
        check(len(answers) == 1 and answers[0]["lease_state"].get_value() == states, f"lease {answers}")
        check(answers[0]["lease_key"].get_value() == lease["lease_key"].get_value(), "another key")
        file.close()
        print(f"lease version {version} read, write, handle")
    for name, level in (("level II", RequestedOplockLevel.SMB2_OPLOCK_LEVEL_II),
                        ("exclusive", RequestedOplockLevel.SMB2_OPLOCK_LEVEL_EXCLUSIVE),
                        ("batch", RequestedOplockLevel.SMB2_OPLOCK_LEVEL_BATCH)):
        file, _ = client.open(f"oplock {name}", oplock=level)
        check(file.oplock_level == level, f"oplock {name} became {file.oplock_level}")
        file.close()
        print(f"oplock {name}")
    client.end()


def durable_v1():
    client = Client(Dialects.SMB_2_1_0)
    request = context(CreateContextName.SMB2_CREATE_DURABLE_HANDLE_REQUEST, SMB2CreateDurableHandleRequest())
    file, answers = client.open(
        "durable 1", contexts=[request], oplock=RequestedOplockLevel.SMB2_OPLOCK_LEVEL_BATCH)
    check(len(answers) == 1, "no durable handle")
    file.close()
    client.end()
    print("durable handle version 1")


def durable_v2(share, flags):
    """Its client disappears and comes back for it. A persistent handle, which needs no oplock, keeps a rival out meanwhile;
    with an oplock the rival would only have the package meet a break, which it does not know.
    """
    name, guid, create = f"durable 2 {flags}", uuid.uuid4(), uuid.uuid4()
    oplock = RequestedOplockLevel.SMB2_OPLOCK_LEVEL_NONE if flags else RequestedOplockLevel.SMB2_OPLOCK_LEVEL_BATCH
    rival = Client(share=share)

    def refused(moment):
        try:
            rival.open(name, CreateDisposition.FILE_OPEN)
        except SMBResponseException as error:
            check(error.status in (NtStatus.STATUS_SHARING_VIOLATION, FILE_NOT_AVAILABLE), f"the rival {moment} met {error}")
        else:
            raise AssertionError(f"the rival got in {moment}")

    client = Client(share=share, guid=guid)
    request = SMB2CreateDurableHandleRequestV2()
    request["timeout"] = 60_000
    request["flags"] = flags
    request["create_guid"] = create
    file, answers = client.open(
        name, contexts=[context(CreateContextName.SMB2_CREATE_DURABLE_HANDLE_REQUEST_V2, request)], oplock=oplock,
        share=0)
    check(len(answers) == 1 and answers[0]["flags"].get_value() == flags, "not granted")
    file.write(b"before", 0)
    old = file.file_id
    client.drop()
    time.sleep(0.3)
    if flags:
        refused("while its client was away")

    back = Client(share=share, guid=guid)
    reconnect = SMB2CreateDurableHandleReconnectV2()
    reconnect["file_id"] = old
    reconnect["create_guid"] = create
    reconnect["flags"] = flags
    again, _ = back.open(
        name, CreateDisposition.FILE_OPEN, share=0, oplock=oplock,
        contexts=[context(CreateContextName.SMB2_CREATE_DURABLE_HANDLE_RECONNECT_V2, reconnect)])
    check(again.file_id[:8] == old[:8], "another handle")
    again.write(b" and after", 6)
    check(again.read(0, 64) == b"before and after", "lost bytes")
    if flags:
        refused("behind its client")
    rival.end()
    again.close()
    back.end()
    print(f"{'persistent' if flags else 'durable'} handle version 2 reclaimed")


def directories():
    client = Client()
    folder, _ = client.open(
        "many", options=CreateOptions.FILE_DIRECTORY_FILE,
        access=DirectoryAccessMask.FILE_LIST_DIRECTORY | DirectoryAccessMask.FILE_ADD_FILE)
    names = {f"entry {number:04} of many" for number in range(500)}
    for name in names:
        client.open(rf"many\{name}")[0].close()
    levels = {
        "file_name": FileInformationClass.FILE_DIRECTORY_INFORMATION,
        "full": FileInformationClass.FILE_FULL_DIRECTORY_INFORMATION,
        "both": FileInformationClass.FILE_BOTH_DIRECTORY_INFORMATION,
        "id both": FileInformationClass.FILE_ID_BOTH_DIRECTORY_INFORMATION,
        "id full": FileInformationClass.FILE_ID_FULL_DIRECTORY_INFORMATION,
        "names": FileInformationClass.FILE_NAMES_INFORMATION,
    }
    for title, level in levels.items():
        found, flags = [], QueryDirectoryFlags.SMB2_RESTART_SCANS
        while True:
            try:
                entries = folder.query_directory("*", level, flags=flags, max_output=8192)
            except SMBResponseException as error:
                check(error.status == NtStatus.STATUS_NO_MORE_FILES, f"listing: {error}")
                break
            flags = 0
            found += [entry["file_name"].get_value().decode("utf-16-le") for entry in entries]
        check(len(found) == len(set(found)) and set(found) - {".", ".."} == names, f"listing {title}: {len(found)}")
    print(f"directory queries at {len(levels)} levels")
    folder.close()
    client.end()


def notify():
    client, other = Client(), Client()
    folder, _ = client.open(
        "watched", options=CreateOptions.FILE_DIRECTORY_FILE, access=DirectoryAccessMask.FILE_LIST_DIRECTORY)
    watcher = FileSystemWatcher(folder)
    watcher.start(CompletionFilter.FILE_NOTIFY_CHANGE_FILE_NAME)
    other.open(r"watched\fresh")[0].close()
    changes = watcher.wait()
    check([change["file_name"].get_value() for change in changes] == ["fresh"], f"notified of {changes}")
    print("change notify")
    waiting = FileSystemWatcher(folder)
    waiting.start(CompletionFilter.FILE_NOTIFY_CHANGE_FILE_NAME)
    time.sleep(0.2)
    waiting.cancel()
    check(waiting.response_event.wait(10) and waiting.cancelled, "not cancelled")
    print("change notify cancelled")
    folder.close()
    client.end()
    other.end()


def copy_chunks(data):
    client = Client()
    client.round_trip("original.bin", data)
    source, _ = client.open("original.bin", CreateDisposition.FILE_OPEN)
    target, _ = client.open("copy.bin", CreateDisposition.FILE_OVERWRITE_IF)
    key = SMB2SrvRequestResumeKey()
    key.unpack(client.control(CtlCode.FSCTL_SRV_REQUEST_RESUME_KEY, source.file_id, limit=32))
    chunks = []
    for at in range(0, len(data), 1 << 20):
        chunk = SMB2SrvCopyChunk()
        chunk["source_offset"] = at
        chunk["target_offset"] = at
        chunk["length"] = min(1 << 20, len(data) - at)
        chunks.append(chunk)
    copy = SMB2SrvCopyChunkCopy()
    copy["source_key"] = key["resume_key"].get_value()
    copy["chunks"] = chunks
    answer = SMB2SrvCopyChunkResponse()
    answer.unpack(client.control(CtlCode.FSCTL_SRV_COPYCHUNK, target.file_id, copy.pack(), 32))
    check(answer["total_bytes_written"].get_value() == len(data), "a short copy")
    source.close()
    target.close()
    check(client.sum("copy.bin", len(data)) == hashlib.sha256(data).digest(), "the copy differs")
    client.end()
    print("IOCTL copy chunks by SHA-256")


def maximal_access():
    client = Client()
    request = context(
        CreateContextName.SMB2_CREATE_QUERY_MAXIMAL_ACCESS_REQUEST, SMB2CreateQueryMaximalAccessRequest())
    disk = context(CreateContextName.SMB2_CREATE_QUERY_ON_DISK_ID, b"")
    file, answers = client.open("maximal", contexts=[request, disk])
    check(len(answers) == 2, f"create contexts: {answers}")
    check(answers[0]["maximal_access"].get_value() == 0x001F01FF, "not everything is granted")
    file.close()
    client.end()
    print("create contexts of maximal access and disk id")


def high_level(data):
    """smbclient, the package's own file layer."""
    smbclient.ClientConfig(username=user, password=password)
    root = rf"\\{HOST}\test\high"
    arguments = {"port": port}
    smbclient.makedirs(rf"{root}\deep\er", exist_ok=True, **arguments)
    with smbclient.open_file(rf"{root}\deep\er\file.bin", mode="wb", **arguments) as file:
        file.write(data)
    smbclient.copyfile(rf"{root}\deep\er\file.bin", rf"{root}\copy.bin", **arguments)
    with smbclient.open_file(rf"{root}\copy.bin", mode="rb", **arguments) as file:
        check(hashlib.sha256(file.read()).digest() == hashlib.sha256(data).digest(), "the copy differs")
    smbclient.rename(rf"{root}\copy.bin", rf"{root}\moved.bin", **arguments)
    walked = sorted(name for _, _, names in smbclient.walk(root, **arguments) for name in names)
    check(walked == ["file.bin", "moved.bin"], f"walked {walked}")
    check(smbclient.stat(rf"{root}\moved.bin", **arguments).st_size == len(data), "another size")
    smbclient.utime(rf"{root}\moved.bin", ns=(10**18, 10**18 + 100), **arguments)
    check(smbclient.stat(rf"{root}\moved.bin", **arguments).st_mtime_ns == 10**18 + 100, "another time")
    smbclient.setxattr(rf"{root}\moved.bin", b"NAME", b"value", **arguments)
    check(smbclient.getxattr(rf"{root}\moved.bin", b"NAME", **arguments) == b"value", "another attribute")
    smbclient.link(rf"{root}\moved.bin", rf"{root}\hard.bin", **arguments)
    check(smbclient.stat(rf"{root}\hard.bin", **arguments).st_nlink == 2, "no hard link")
    smbclient.symlink("moved.bin", rf"{root}\soft.bin", **arguments)
    target = smbclient.readlink(rf"{root}\soft.bin", **arguments)
    check(target == rf"{root}\moved.bin", f"another target: {target}")
    with smbclient.open_file(rf"{root}\moved.bin:stream", mode="wb", **arguments) as file:
        file.write(b"in a stream")
    with smbclient.open_file(rf"{root}\moved.bin:stream", mode="rb", **arguments) as file:
        check(file.read() == b"in a stream", "another stream")
    smbclient.remove(rf"{root}\moved.bin", **arguments)
    smbclient.reset_connection_cache()
    print("the package's file layer by SHA-256")


random = os.urandom(300_001)
dialects(random)
ciphers(random)
leases()
durable_v1()
durable_v2("test", 0)
durable_v2("ca", DurableHandleFlags.SMB2_DHANDLE_FLAG_PERSISTENT)
maximal_access()
directories()
notify()
copy_chunks(os.urandom(5_000_011))
high_level(random)
