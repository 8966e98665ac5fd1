#pragma once
// Block and FUSE devices, loop, mount.
