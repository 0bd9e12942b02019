-- wrk: an order for a pod with each request.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"pod":{"cloudId":"cpu-1x2","gpuType":"CPU_NODE","socket":"PCIe","gpuCount":1},]]
  .. [["provider":{"type":"primecompute"}}]]
