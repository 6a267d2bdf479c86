#!/bin/sh
# Is there a shell? Says so, and changes nothing.
# shellcheck disable=SC1091,SC2154
say hello "$me"
