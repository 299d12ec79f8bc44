// A core, the memory that it runs from, and a record of what it writes into its activation buffer.
//
// `CORE is the core's module. Plusargs:
//   +memory=FILE     what the memory holds at the start, byte by byte
//   +writes=FILE     receives a record for every write into the activation buffer:
//                    32 bits address, 32 bits operation, 64 bits mask, the data in whole 32-bit words
//   +operations=FILE receives 64-bit words whenever the first of them changes: operations done since the
//                    start (0: a start), cycles, stalls, records in the other file
//   +results=FILE    receives the memory from +results_from=BYTES for +results_bytes=BYTES, at `save`
//   +latency=CYCLES  from a read address to its first beat; twice that till a written beat is there (default 0)
//   +bandwidth=N     beats of read data in 256 cycles (default 256)
// Files are little endian. An address outside the memory is answered by DECERR.

`default_nettype none

module core_bench #(
    parameter integer BUS_BITS = 64,
    parameter integer MEMORY_BEATS = 1 << 20,
    parameter integer OUT_BITS = 32,
    parameter integer OUT_GROUPS = 1
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        save,
    input  wire [ 7:0] s_axi_awaddr,
    input  wire        s_axi_awvalid,
    output wire        s_axi_awready,
    input  wire [31:0] s_axi_wdata,
    input  wire        s_axi_wvalid,
    output wire        s_axi_wready,
    output wire [ 1:0] s_axi_bresp,
    output wire        s_axi_bvalid,
    input  wire        s_axi_bready,
    input  wire [ 7:0] s_axi_araddr,
    input  wire        s_axi_arvalid,
    output wire        s_axi_arready,
    output wire [31:0] s_axi_rdata,
    output wire [ 1:0] s_axi_rresp,
    output wire        s_axi_rvalid,
    input  wire        s_axi_rready,
    output wire        irq
);
  localparam integer BEAT_BYTES = BUS_BITS / 8;
  localparam integer QUEUE = 32;
  localparam integer BEATS = 256;
  localparam integer DATA_WORDS = (OUT_BITS + 31) / 32;

  wire [31:0] araddr, awaddr;
  wire [7:0] arlen, awlen;
  wire arvalid, awvalid, wvalid, wlast, rready, bready;
  wire [BUS_BITS-1:0] wdata;
  wire [BEAT_BYTES-1:0] wstrb;
  reg rvalid, rlast, bvalid;
  reg [1:0] rresp, bresp;
  reg  [BUS_BITS-1:0] rdata;
  wire arready, awready, wready;

  `CORE core (
      .clk(clk),
      .rst(rst),
      .s_axi_awaddr(s_axi_awaddr),
      .s_axi_awvalid(s_axi_awvalid),
      .s_axi_awready(s_axi_awready),
      .s_axi_wdata(s_axi_wdata),
      .s_axi_wstrb(4'hf),
      .s_axi_wvalid(s_axi_wvalid),
      .s_axi_wready(s_axi_wready),
      .s_axi_bresp(s_axi_bresp),
      .s_axi_bvalid(s_axi_bvalid),
      .s_axi_bready(s_axi_bready),
      .s_axi_araddr(s_axi_araddr),
      .s_axi_arvalid(s_axi_arvalid),
      .s_axi_arready(s_axi_arready),
      .s_axi_rdata(s_axi_rdata),
      .s_axi_rresp(s_axi_rresp),
      .s_axi_rvalid(s_axi_rvalid),
      .s_axi_rready(s_axi_rready),
      .m_axi_arid(),
      .m_axi_araddr(araddr),
      .m_axi_arlen(arlen),
      .m_axi_arsize(),
      .m_axi_arburst(),
      .m_axi_arvalid(arvalid),
      .m_axi_arready(arready),
      .m_axi_rid(1'b0),
      .m_axi_rdata(rdata),
      .m_axi_rresp(rresp),
      .m_axi_rlast(rlast),
      .m_axi_rvalid(rvalid),
      .m_axi_rready(rready),
      .m_axi_awid(),
      .m_axi_awaddr(awaddr),
      .m_axi_awlen(awlen),
      .m_axi_awsize(),
      .m_axi_awburst(),
      .m_axi_awvalid(awvalid),
      .m_axi_awready(awready),
      .m_axi_wdata(wdata),
      .m_axi_wstrb(wstrb),
      .m_axi_wlast(wlast),
      .m_axi_wvalid(wvalid),
      .m_axi_wready(wready),
      .m_axi_bid(1'b0),
      .m_axi_bresp(bresp),
      .m_axi_bvalid(bvalid),
      .m_axi_bready(bready),
      .irq(irq)
  );

  // $fread puts a file's first byte into the highest bits: beats lie here with their bytes reversed.
  reg [BUS_BITS-1:0] memory[0:MEMORY_BEATS-1];

  function automatic [BUS_BITS-1:0] reversed(input [BUS_BITS-1:0] beat);
    for (integer i = 0; i < BEAT_BYTES; i = i + 1) reversed[8*i+:8] = beat[BUS_BITS-8-8*i+:8];
  endfunction

  reg [63:0] written;
  integer file, writes_file, operations_file, results_file, latency, bandwidth;
  integer results_from, results_bytes, count;
  reg [8*1024-1:0] path;

  initial begin
    if (!$value$plusargs("memory=%s", path)) $fatal(1, "+memory is missing");
    file = $fopen(path, "rb");
    if (file == 0) $fatal(1, "the memory's file cannot be read");
    count = $fread(memory, file);
    $fclose(file);
    if (!$value$plusargs("writes=%s", path)) $fatal(1, "+writes is missing");
    writes_file = $fopen(path, "wb");
    written = 0;
    if (!$value$plusargs("operations=%s", path)) $fatal(1, "+operations is missing");
    operations_file = $fopen(path, "wb");
    if (!$value$plusargs("latency=%d", latency)) latency = 0;
    if (!$value$plusargs("bandwidth=%d", bandwidth)) bandwidth = 256;
    if (!$value$plusargs("results_from=%d", results_from)) results_from = 0;
    if (!$value$plusargs("results_bytes=%d", results_bytes)) results_bytes = 0;
  end

  // Reads: a queue of bursts, each with the cycle from which on its data may come.
  reg [31:0] cycle;
  reg [31:0] queue_address[0:QUEUE-1], queue_due[0:QUEUE-1];
  reg [7:0] queue_left[0:QUEUE-1];
  reg [5:0] queued, served;
  reg [31:0] address;  // of the burst that is served
  reg  [ 7:0] left;
  reg         serving;
  reg  [31:0] credit;
  wire        full = (queued - served) == QUEUE[5:0];
  wire        due = queued != served && cycle >= queue_due[served[4:0]];
  wire        free = !rvalid || rready;
  wire        paid = credit >= 256;
  wire        begins = !serving && due;
  wire [31:0] next_address = serving ? address : queue_address[served[4:0]];
  wire [ 7:0] next_left = serving ? left : queue_left[served[4:0]];
  wire        serve = free && paid && (serving || due);
  wire [31:0] read_beat = next_address / BEAT_BYTES;
  assign arready = !full;

  always @(posedge clk) begin
    cycle <= rst ? 0 : cycle + 1;
    credit <= rst ? 256 : (serve ? credit - 256 : credit) + ((credit < 512) ? bandwidth : 0);
    if (rst) queued <= 0;
    else if (arvalid && arready) begin
      queue_address[queued[4:0]] <= araddr;
      queue_left[queued[4:0]] <= arlen;
      queue_due[queued[4:0]] <= cycle + latency;
      queued <= queued + 1;
    end
    if (rst) begin
      served  <= 0;
      serving <= 0;
      rvalid  <= 0;
    end else begin
      if (free) rvalid <= serve;
      if (serve) begin
        rdata <= read_beat < MEMORY_BEATS ? reversed(memory[read_beat]) : 0;
        rresp <= read_beat < MEMORY_BEATS ? 2'd0 : 2'd3;
        rlast <= next_left == 0;
        address <= next_address + BEAT_BYTES;
        left <= next_left - 1;
        serving <= next_left != 0;
        if (begins) served <= served + 1;
      end
    end
  end

  // Writes: a burst after the other, a beat a cycle. Beats wait in a queue until they are in the memory.
  reg writing, beyond;
  reg [31:0] write_address;
  reg [BUS_BITS-1:0] beat_data[0:BEATS-1];
  reg [31:0] beat_number[0:BEATS-1], beat_due[0:BEATS-1];
  reg beat_kept[0:BEATS-1], beat_last[0:BEATS-1];
  reg [8:0] beats_in, beats_out;
  wire [7:0] first = beats_out[7:0];
  wire room = (beats_in - beats_out) != BEATS[8:0];
  wire answers = !bvalid || bready;
  wire lands = beats_in != beats_out && cycle >= beat_due[first] && (answers || !beat_last[first]);
  wire misses = beat_number[first] >= MEMORY_BEATS;
  assign awready = !writing;
  assign wready  = writing && room;

  always @(posedge clk)
    if (rst) begin
      writing   <= 0;
      bvalid    <= 0;
      beats_in  <= 0;
      beats_out <= 0;
      beyond    <= 0;
    end else begin
      if (awvalid && awready) begin
        writing <= 1;
        write_address <= awaddr;
      end
      if (wvalid && wready) begin
        beat_data[beats_in[7:0]] <= reversed(wdata);
        beat_number[beats_in[7:0]] <= write_address / BEAT_BYTES;
        beat_due[beats_in[7:0]] <= cycle + 2 * latency;
        beat_kept[beats_in[7:0]] <= &wstrb;
        beat_last[beats_in[7:0]] <= wlast;
        beats_in <= beats_in + 1;
        write_address <= write_address + BEAT_BYTES;
        if (wlast) writing <= 0;
      end
      if (bready) bvalid <= 0;
      if (lands) begin
        if (!misses && beat_kept[first]) memory[beat_number[first]] <= beat_data[first];
        beyond <= !beat_last[first] && (beyond || misses);
        if (beat_last[first]) begin
          bvalid <= 1;
          bresp  <= beyond || misses ? 2'd3 : 2'd0;
        end
        beats_out <= beats_out + 1;
      end
    end

  // What the core does, for the host to check.
  reg [15:0] operations_before;
  always @(posedge clk)
    if (rst) operations_before <= 16'hffff;
    else begin
      if (core.engine.out_write) begin
        $fwrite(writes_file, "%u", {
                (32 * DATA_WORDS)'(core.engine.out_data),
                64'(core.engine.out_mask),
                32'(core.engine.operations_done),
                32'(core.engine.out_address)});
        written = written + 1;
      end
      operations_before <= core.engine.operations_done;
      if (core.engine.operations_done != operations_before)
        $fwrite(operations_file, "%u", {
                written,
                64'(core.engine.stalls),
                64'(core.engine.cycles),
                64'(core.engine.operations_done)});
    end

  always @(posedge save) begin
    $fclose(writes_file);
    $fclose(operations_file);
    if (!$value$plusargs("results=%s", path)) $fatal(1, "+results is missing");
    results_file = $fopen(path, "wb");
    for (integer i = 0; i < results_bytes / BEAT_BYTES; i = i + 1)
      $fwrite(results_file, "%u", reversed(memory[results_from/BEAT_BYTES+i]));
    $fclose(results_file);
  end
endmodule
