"""impacket's SMB client against the server: foreign_impacket.py PORT USER PASSWORD. A line for each thing that went well; the
first that does not ends it with a traceback. Its DCE/RPC is rpc_impacket.py's.
"""

import hashlib
import io
import os
import sys

from impacket.smb3structs import SMB2_DIALECT_002, SMB2_DIALECT_21, SMB2_DIALECT_30, SMB2_DIALECT_311
from impacket.smbconnection import SessionError, SMBConnection

port, user, password = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def refused(status, call, *arguments):
    try:
        call(*arguments)
    except SessionError as error:
        check(status in str(error), f"{status} expected, {error} came")
    else:
        raise AssertionError(f"{status} expected, nothing came")


data = os.urandom(3_000_017)
for name, dialect in (("2.0.2", SMB2_DIALECT_002), ("2.1", SMB2_DIALECT_21), ("3.0", SMB2_DIALECT_30),
                      ("3.1.1", SMB2_DIALECT_311)):
    connection = SMBConnection("*SMBSERVER", "127.0.0.1", sess_port=port, preferredDialect=dialect)
    connection.login(user, password)
    check(connection.getDialect() == dialect, f"{name} became {connection.getDialect():#x}")
    folder = f"impacket {name}"
    connection.createDirectory("test", folder)
    connection.putFile("test", rf"{folder}\file.bin", io.BytesIO(data).read)
    connection.rename("test", rf"{folder}\file.bin", rf"{folder}\moved.bin")
    back = io.BytesIO()
    connection.getFile("test", rf"{folder}\moved.bin", back.write)
    check(hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(data).digest(), "it came back different")
    found = {entry.get_longname(): entry.get_filesize() for entry in connection.listPath("test", rf"{folder}\*")}
    check(found.get("moved.bin") == len(data), f"listed {found}")
    refused("STATUS_OBJECT_NAME_COLLISION", connection.createDirectory, "test", folder)
    refused("STATUS_DIRECTORY_NOT_EMPTY", connection.deleteDirectory, "test", folder)
    connection.deleteFile("test", rf"{folder}\moved.bin")
    connection.deleteDirectory("test", folder)
    check("test" in [share["shi1_netname"][:-1] for share in connection.listShares()], "the share is not listed")
    refused("STATUS_BAD_NETWORK_NAME", connection.connectTree, "nothing")
    connection.logoff()
    print(f"impacket {name} by SHA-256")
refused("STATUS_LOGON_FAILURE", SMBConnection("*SMBSERVER", "127.0.0.1", sess_port=port).login, user, password + "?")
print("impacket with a wrong password")
