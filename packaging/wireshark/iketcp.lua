-- iketcp.lua: IKE and ESP in a TCP stream (RFC 9329), and many packets in one of ESP (RFC 9347), for Wireshark and tshark, which hand
-- what is inside to their own dissectors.
-- Load it with -X lua_script:iketcp.lua (not as root), or put it into ~/.local/lib/wireshark/plugins. It takes TCP port 4500,
-- and any other stream that begins with IKETCP.

local PREFIX = "IKETCP"
local iketcp = Proto("iketcp", "IKE and ESP in a TCP stream")
local f_prefix = ProtoField.string("iketcp.prefix", "Stream prefix")
local f_length = ProtoField.uint16("iketcp.length", "Length", base.DEC, nil, nil, "Of the message, these two octets included")
local f_marker = ProtoField.bytes("iketcp.marker", "Non-ESP marker")
local f_kind = ProtoField.string("iketcp.kind", "Kind")
local corrupt = ProtoExpert.new("iketcp.corrupt", "No length: the stream is corrupt", expert.group.MALFORMED, expert.severity.ERROR)
iketcp.fields = { f_prefix, f_length, f_marker, f_kind }
iketcp.experts = { corrupt }

local ike, esp = Dissector.get("isakmp"), Dissector.get("esp")

local function kind_of(payload)
    if payload:len() == 0 then return "empty" end
    if payload:len() == 1 and payload(0, 1):uint() == 0xff then return "NAT keepalive" end
    if payload:len() < 4 then return "too short" end
    return payload(0, 4):uint() == 0 and "IKE" or "ESP"
end

local function more(pinfo, at, octets)
    pinfo.desegment_offset = at
    pinfo.desegment_len = octets
end

-- One message whose octets are all there.
local function message(tvb, at, length, pinfo, tree)
    local payload = tvb(at + 2, length - 2):tvb()
    local branch = tree:add(iketcp, tvb(at, length))
    local kind = kind_of(payload)
    branch:add(f_length, tvb(at, 2))
    branch:add(f_kind, tvb(at, length), kind):set_generated()
    branch:append_text(", " .. kind)
    if kind == "IKE" then
        branch:add(f_marker, payload(0, 4))
        if payload:len() > 4 then ike:call(payload(4):tvb(), pinfo, tree) end
    elseif kind == "ESP" then
        esp:call(payload, pinfo, tree)
    end
end

function iketcp.dissector(tvb, pinfo, tree)
    local at = 0
    pinfo.cols.protocol = "IKETCP"
    while at < tvb:len() do
        local left = tvb:len() - at
        local shown = math.min(left, #PREFIX)
        if shown >= 2 and tvb(at, shown):string() == PREFIX:sub(1, shown) then
            if left < #PREFIX then return more(pinfo, at, #PREFIX - left) end
            tree:add(iketcp, tvb(at, #PREFIX)):add(f_prefix, tvb(at, #PREFIX))
            at = at + #PREFIX
        elseif left < 2 then
            return more(pinfo, at, DESEGMENT_ONE_MORE_SEGMENT)
        else
            local length = tvb(at, 2):uint()
            if length < 2 then
                tree:add(iketcp, tvb(at)):add_proto_expert_info(corrupt)
                return
            end
            if left < length then return more(pinfo, at, length - left) end
            message(tvb, at, length, pinfo, tree)
            at = at + length
        end
    end
end

local function begins(tvb, pinfo, tree)
    if tvb:len() < #PREFIX or tvb(0, #PREFIX):string() ~= PREFIX then return false end
    pinfo.conversation = iketcp
    iketcp.dissector(tvb, pinfo, tree)
    return true
end

-- AGGFRAG (RFC 9347), which ESP carries as protocol 144: whole inner packets are shown; the pieces of one that several ESP packets
-- share are named and not put together.
local aggfrag = Proto("aggfrag", "AGGFRAG payload")
local f_sub_type = ProtoField.uint8("aggfrag.subtype", "Sub-type", base.DEC, { [0] = "non-congestion control", [1] = "congestion control" })
local f_offset = ProtoField.uint16("aggfrag.offset", "BlockOffset")
local f_piece = ProtoField.bytes("aggfrag.piece", "Piece of an inner packet")
local f_pad = ProtoField.bytes("aggfrag.pad", "Padding")
aggfrag.fields = { f_sub_type, f_offset, f_piece, f_pad }
local ip, ipv6 = Dissector.get("ip"), Dissector.get("ipv6")

-- Octets of the data block in front; nil: it goes on in the next payload, or is none.
local function block_length(tvb, at, version)
    local left, length = tvb:len() - at
    if version == 4 and left >= 4 then length = tvb(at + 2, 2):uint() end
    if version == 6 and left >= 6 then length = 40 + tvb(at + 4, 2):uint() end
    return length and length >= 20 and length <= left and length or nil
end

function aggfrag.dissector(tvb, pinfo, tree)
    if tvb:len() < 4 then return 0 end
    local header = tvb(0, 1):uint() == 1 and 24 or 4
    if tvb:len() < header then return 0 end
    local branch = tree:add(aggfrag, tvb(0, header))
    branch:add(f_sub_type, tvb(0, 1))
    branch:add(f_offset, tvb(2, 2))
    local at = header + math.min(tvb(2, 2):uint(), tvb:len() - header)
    if at > header then branch:add(f_piece, tvb(header, at - header)) end
    while at < tvb:len() do
        local version = tvb(at, 1):bitfield(0, 4)
        local length = block_length(tvb, at, version)
        if version == 0 or not length then
            branch:add(version == 0 and f_pad or f_piece, tvb(at))
            break
        end
        (version == 4 and ip or ipv6):call(tvb(at, length):tvb(), pinfo, tree)
        at = at + length
    end
    return tvb:len()
end

iketcp:register_heuristic("tcp", begins)
DissectorTable.get("tcp.port"):add(4500, iketcp)
DissectorTable.get("ip.proto"):add(144, aggfrag)
