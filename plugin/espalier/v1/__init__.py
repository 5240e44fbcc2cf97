"""The wire API: generated from proto/espalier/v1 by tools/gen_proto.py; do not edit."""
