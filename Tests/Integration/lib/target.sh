# shellcheck shell=bash
# An iSCSI target of our own: sourced after library.sh by the scripts that need a LUN. HOLDFAST_TARGET=lio: Linux's own target in a
# guest; otherwise tgtd.
#   target_start FOLDER SIZE [NETNS [ADDRESS]]   sets TARGET_PID, TARGET_PORT, TARGET_ADDRESS, TARGET_IMAGE, TARGET_URL; CHAP, one
#                                                sparse image. Again: with the image that is there
#   target_stop                                  as if its power went: nothing is said to anybody
# TARGET_KIND is tgt or lio.
# shellcheck source-path=SCRIPTDIR/..

TARGET_IQN=iqn.2026-11.test.holdfast:lun
TARGET_USER=holdfast
TARGET_PASSWORD=Pa55word-with-@-and-/
TARGET_PID=
TARGET_KIND=${HOLDFAST_TARGET:-tgt}
export TARGET_IQN TARGET_USER TARGET_PASSWORD TARGET_PID

# shellcheck source=/dev/null
case $TARGET_KIND in
    tgt) source "${here:?}/lib/tgtd.sh" ;;
    lio) source "${here:?}/lib/lio.sh" ;;
esac
