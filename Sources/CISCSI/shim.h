#pragma once
#include <sys/types.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
