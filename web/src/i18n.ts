// Every word of the console, once: English, Chinese. What the server says (messages, docs) is shown as it says it.
import { remember, remembered, store, useStore } from "./store";

export type Lang = "en" | "zh";

const strings = {
  // shell
  overview: ["Overview", "总览"],
  jobs: ["Jobs", "作业"],
  objects: ["Objects", "对象"],
  journal: ["Journal", "决策日志"],
  actions: ["Actions", "操作"],
  capabilities: ["Capabilities", "能力"],
  tagline: ["Compute centres, one platform", "算力中心统一平台"],
  search_all: ["Search objects", "搜索对象"],
  search_none: ["Nothing is called that", "没有匹配的对象"],
  theme: ["Theme", "主题"],
  theme_auto: ["As the system", "跟随系统"],
  theme_light: ["Light", "浅色"],
  theme_dark: ["Dark", "深色"],
  language: ["中文", "English"],
  sign_out: ["Sign out", "退出"],
  offline: ["The controller does not answer. Trying again…", "控制器无响应，正在重试…"],
  offline_hint: ["Is it running? suan up ESTATE starts it.", "它在运行吗？可用 suan up ESTATE 启动。"],
  menu: ["Menu", "菜单"],
  skip: ["Skip to content", "跳到正文"],
  store_bad: ["The state store refuses writes:", "状态存储拒绝写入："],
  // sign in
  sign_in: ["Sign in", "登录"],
  token: ["Token", "令牌"],
  token_hint: [
    "The first token lies in the state folder, in the file “token”. It is kept in a cookie of this browser only.",
    "首个令牌在状态目录的 token 文件中；登录后仅保存在本浏览器的 Cookie 里。",
  ],
  // common
  loading: ["Loading…", "加载中…"],
  retry: ["Try again", "重试"],
  close: ["Close", "关闭"],
  cancel: ["Cancel", "取消"],
  save: ["Save", "保存"],
  edit: ["Edit", "编辑"],
  all: ["All", "全部"],
  any: ["any", "不限"],
  none: ["none", "无"],
  yes: ["yes", "是"],
  no: ["no", "否"],
  now: ["now", "刚刚"],
  ago: ["{n} ago", "{n}前"],
  of: ["{a} of {b}", "{a} / {b}"],
  rows: ["{a}–{b} of {n}", "第 {a}–{b} 项，共 {n} 项"],
  previous: ["Previous", "上一页"],
  next: ["Next", "下一页"],
  older: ["Older", "更早"],
  filter: ["Filter", "筛选"],
  clear: ["Clear", "清除"],
  details: ["Details", "详情"],
  more: ["{n} more", "还有 {n} 项"],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
  hint: ["Hint:", "提示："],
  not_found: ["There is nothing here", "这里什么也没有"],
  // overview
  map: ["Region", "区域"],
  power: ["Power", "功率"],
  emission: ["Emission", "碳排放"],
  intensity: ["Carbon intensity", "碳强度"],
  cores: ["Cores in use", "在用核数"],
  load: ["Load", "负载"],
  centres: ["Centres", "算力中心"],
  state: ["State", "状态"],
  tasks_here: ["Tasks", "任务"],
  attention: ["Needs attention", "需要关注"],
  attention_none: ["Nothing needs attention.", "目前一切正常。"],
  decisions: ["Latest decisions", "最新决策"],
  decisions_none: ["Nothing was decided yet. Submit a job and every placement appears here with its reasons.", "尚无决策。提交作业后，每次放置及其理由都会出现在这里。"],
  work: ["Work", "作业概况"],
  active_jobs: ["Active jobs", "进行中的作业"],
  no_active_jobs: ["No job is waiting or running.", "没有排队或运行中的作业。"],
  submit_first: ["Submit a job", "提交作业"],
  last_hour: ["last {n}", "最近 {n}"],
  link_use: ["Link in use", "在用链路"],
  no_centres: ["The estate has no centre yet.", "资产中还没有算力中心。"],
  no_centres_hint: ["Import one: suan estate import FILE", "导入：suan estate import 文件"],
  no_points: ["No history yet", "尚无历史"],
  cut_off_n: ["{n} cut off", "{n} 个失联"],
  all_up: ["all up", "全部在线"],
  up_of: ["{a} of {b} up", "{a} / {b} 在线"],
  // jobs
  submit: ["Submit a job", "提交作业"],
  submit_now: ["Submit", "提交"],
  check: ["Check", "检查"],
  check_good: ["The job is valid. Nothing was submitted.", "作业有效，尚未提交。"],
  job_text: ["Job, as YAML", "作业（YAML）"],
  example: ["Example", "示例"],
  line: ["line {n}", "第 {n} 行"],
  no_jobs: ["No jobs yet", "还没有作业"],
  no_jobs_hint: ["A job is a graph of tasks. Paste one, or start with an example.", "作业由一组有依赖的任务组成。可以粘贴 YAML，或从示例开始。"],
  no_jobs_match: ["No job matches this filter", "没有符合条件的作业"],
  name: ["Name", "名称"],
  kind: ["Kind", "类型"],
  tenant: ["Tenant", "租户"],
  progress: ["Progress", "进度"],
  submitted: ["Submitted", "提交时间"],
  duration: ["Duration", "时长"],
  energy: ["Energy", "能耗"],
  carbon: ["Carbon", "碳"],
  cost: ["Cost", "费用"],
  cpu_time: ["CPU time", "CPU 时间"],
  moved: ["Moved", "传输量"],
  account: ["Account", "核算"],
  measured: ["measured", "实测"],
  modelled: ["modelled", "模型估算"],
  default: ["default", "缺省值"],
  none_figure: ["no figure yet", "尚无数据"],
  cancel_job: ["Cancel job", "取消作业"],
  cancel_job_ask: ["Stop {name} and all its tasks?", "停止 {name} 及其全部任务？"],
  task_graph: ["Tasks", "任务图"],
  result: ["Result", "结果"],
  reason: ["Reason", "原因"],
  by_user: ["User", "用户"],
  policy: ["Policy", "策略"],
  policy_default: ["as configured", "按配置"],
  task: ["Task", "任务"],
  centre: ["Centre", "中心"],
  node: ["Node", "节点"],
  attempt: ["Attempt", "尝试"],
  started: ["Started", "开始"],
  ended: ["Ended", "结束"],
  command: ["Command", "命令"],
  inputs: ["Inputs", "输入"],
  outputs: ["Outputs", "输出"],
  why_here: ["Why here", "为何在此"],
  show_reasons: ["All candidates", "全部候选"],
  hide_reasons: ["Hide candidates", "收起候选"],
  log: ["Log", "日志"],
  log_live: ["live", "实时"],
  log_empty: ["It has printed nothing yet.", "尚无输出。"],
  log_unplaced: ["The task has not been placed yet, so it has no log.", "任务尚未放置，没有日志。"],
  log_cut: ["The first {n} are not shown.", "前 {n} 未显示。"],
  follow: ["Follow", "跟随"],
  pick_task: ["Choose a task to see where it ran, why, and what it printed.", "选择一个任务，查看它的位置、理由与输出。"],
  // objects
  find: ["Find by name", "按名称查找"],
  no_objects: ["There is no {kind}", "没有{kind}"],
  no_objects_hint: ["Objects come from an estate file or from the Actions page.", "对象来自资产文件，也可在“操作”页创建。"],
  no_match: ["Nothing matches this filter", "没有符合条件的对象"],
  create: ["New", "新建"],
  parent: ["Parent", "上级"],
  config: ["Configuration", "配置"],
  observed: ["State", "状态"],
  conditions: ["Conditions", "状况"],
  conditions_none: ["No conditions: it is simply fine.", "无异常状况。"],
  telemetry: ["Telemetry", "遥测"],
  telemetry_none: ["No points yet. Recording has begun; they appear here as time passes.", "尚无数据点，已开始记录，稍后显示。"],
  children: ["Inside", "下级对象"],
  history: ["History", "历史"],
  history_none: ["Nothing about it in the journal.", "日志中没有相关记录。"],
  why: ["Why", "为什么"],
  why_none: ["No decision concerns it or what it belongs to.", "没有与它或其上级相关的决策。"],
  claims: ["Claims", "指令"],
  raw: ["JSON", "JSON"],
  items_n: ["{n} items", "{n} 项"],
  // journal
  sequence: ["No.", "序号"],
  time: ["Time", "时间"],
  by: ["By", "来源"],
  object: ["Object", "对象"],
  what: ["What", "内容"],
  live: ["Live", "实时"],
  journal_empty: ["The journal is empty", "日志为空"],
  journal_empty_hint: ["Every decision, commit and call appears here, chained by hash.", "每个决策、提交和调用都会记录在此，并以哈希相链。"],
  journal_no_match: ["No row matches this filter", "没有符合条件的记录"],
  new_rows: ["{n} new", "{n} 条新记录"],
  verify: ["Verify chain", "校验哈希链"],
  verified: ["{n} rows, chain intact", "{n} 条记录，哈希链完整"],
  hash: ["Hash", "哈希"],
  no_reasons: ["This row carries no further reasons.", "该记录没有更多理由。"],
  candidates: ["Candidates", "候选中心"],
  score: ["Score", "总分"],
  energy_price: ["Energy", "电费"],
  carbon_price: ["Carbon", "碳价"],
  compute_price: ["Compute", "算力"],
  data_price: ["Data", "数据"],
  waiting_price: ["Waiting", "等待"],
  refused: ["refused", "不可用"],
  chosen: ["chosen", "选中"],
  in_cny: ["Terms in CNY; lower is better.", "各项单位为元，越低越好。"],
  score_kg: ["Score: kg of CO₂e.", "总分：千克二氧化碳当量。"],
  score_s: ["Score: seconds of transfer.", "总分：传输秒数。"],
  score_spread: ["Score: tasks of the same job there, then CNY.", "总分：先比同一作业的任务数，再比费用。"],
  same_job: ["same job", "同作业"],
  // actions
  find_action: ["Find an action", "查找操作"],
  every_kind: ["every kind", "所有类型"],
  run: ["Run", "执行"],
  dry_run: ["Dry run", "试运行"],
  dry_run_good: ["Dry run: this would work. Nothing was changed.", "试运行通过，未做任何更改。"],
  done: ["Done.", "已完成。"],
  dangerous: ["dangerous", "危险操作"],
  reads: ["reads", "只读"],
  slow: ["may take a while", "可能较慢"],
  sure: ["Are you sure?", "确定吗？"],
  sure_text: ["“{what}” cannot simply be undone.", "“{what}”无法简单撤销。"],
  go_ahead: ["Go ahead", "继续"],
  role_needed: ["needs role {role}", "需要角色 {role}"],
  required: ["required", "必填"],
  is_missing: ["A value is wanted", "请填写"],
  not_number: ["A number is wanted", "应为数字"],
  not_unit: ["{unit} or another unit of the same kind", "单位应为 {unit} 或同类单位"],
  out_of_range: ["From {a} to {b}", "范围 {a} 到 {b}"],
  range: ["{a} to {b}", "{a} 至 {b}"],
  too_long: ["At most {n} characters", "最多 {n} 个字符"],
  one_a_line: ["one a line", "每行一个"],
  input_none: ["It takes no input.", "无需输入。"],
  input_free: ["Input, as JSON", "输入（JSON）"],
  bad_json: ["This is not JSON: {why}", "不是有效的 JSON:{why}"],
  output: ["Answer", "返回"],
  pick_action: ["Choose an action on the left. All of them are also in the CLI and the HTTP API.", "请在左侧选择操作。它们同样可用于命令行和 HTTP API。"],
  equals: ["The same from a shell", "等价命令"],
  changes: ["Changes", "变更"],
  set_title: ["Change {name}", "修改 {name}"],
  unchanged: ["Nothing was changed in the form.", "表单没有改动。"],
  // capabilities
  mode: ["Mode", "模式"],
  mode_off: ["Off", "关闭"],
  mode_advise: ["Advise", "建议"],
  mode_act: ["Act", "执行"],
  mode_doc: ["Off: nothing. Advise: decides and writes down, touches nothing. Act: does it.", "关闭：不工作。建议：只决策并记录。执行：付诸实施。"],
  goals: ["Goals", "目标"],
  goals_none: ["It claims no goal.", "未声明目标。"],
  goal: ["Goal", "目标"],
  target: ["Target", "目标值"],
  stretch: ["Stretch", "挑战值"],
  measured_value: ["Measured", "实测值"],
  not_measured: ["not measured here", "本机未测"],
  measured_by: ["Measured by", "测量方法"],
  lower: ["at most", "至多"],
  higher: ["at least", "至少"],
  no_caps: ["This controller runs no capability", "本控制器没有运行任何能力"],
  saved: ["Saved.", "已保存。"],
  config_none: ["Nothing to configure.", "没有可配置项。"],
  // time
  plant_time: ["Plant time", "系统时间"],
  twin: ["twin", "孪生"],
  live_plant: ["live", "实况"],
  stopped: ["stopped", "已暂停"],
  stop: ["Stop", "暂停"],
  pace: ["Pace", "倍速"],
  warp: ["Jump ahead", "快进"],
  time_live: ["Live devices are attached, so time cannot be controlled.", "已连接真实设备，无法控制时间。"],
} satisfies Record<string, [string, string]>;

// Words that come from the server as identifiers: states, kinds of job, severities, journal kinds, roles.
const words: Record<string, [string, string]> = {
  unknown: ["unknown", "未知"], up: ["up", "在线"], "cut-off": ["cut off", "失联"], down: ["down", "停机"], drained: ["drained", "已排空"],
  away: ["away", "离开"], connected: ["connected", "已连接"], lapsed: ["lapsed", "租约到期"],
  queued: ["queued", "排队"], running: ["running", "运行中"], done: ["done", "完成"], failed: ["failed", "失败"], cancelled: ["cancelled", "已取消"],
  waiting: ["waiting", "等待"], ready: ["ready", "就绪"], placed: ["placed", "已放置"], idle: ["idle", "空闲"], warm: ["warm", "预热"],
  batch: ["batch", "批处理"], function: ["function", "函数"], train: ["training", "训练"],
  info: ["info", "信息"], notice: ["notice", "提示"], warning: ["warning", "警告"], error: ["error", "错误"], critical: ["critical", "严重"],
  decision: ["decision", "决策"], advice: ["advice", "建议"], verb: ["call", "调用"], commit: ["commit", "提交"], state: ["state", "状态"],
  alarm: ["alarm", "告警"], audit: ["audit", "审计"], event: ["event", "事件"],
  viewer: ["viewer", "只读"], owner: ["owner", "租户所有者"], operator: ["operator", "操作员"], admin: ["admin", "管理员"],
  measured: ["measured", "实测"], modelled: ["modelled", "模型"], default: ["default", "缺省"], none: ["none", "无"],
  experimental: ["experimental", "实验"], beta: ["beta", "测试"], production: ["production", "生产"],
  compute: ["compute", "计算"], storage: ["storage", "存储"], network: ["network", "网络"], applications: ["applications", "应用"],
  green: ["green", "绿色"], operations: ["operations", "运维"], twin: ["twin", "孪生"],
  system: ["system", "系统"], estate: ["estate", "资产"], journal: ["journal", "日志"], time: ["time", "时间"], token: ["token", "令牌"],
  cap: ["capability", "能力"], claim: ["claim", "指令"], telemetry: ["telemetry", "遥测"], condition: ["condition", "状况"], placement: ["placement", "放置"],
};

// Names of fields: the unit at the end is dropped in English; Chinese has a table, and falls back.
const fields: Record<string, string> = {
  title: "名称", title_zh: "中文名", name: "名称", grid: "电网", owner: "所有者", latitude_deg: "纬度", longitude_deg: "经度",
  wet_bulb_mean_c: "湿球均温", wet_bulb_amplitude_c: "湿球年较差", pue_ratio: "PUE", power_limit_w: "功率上限", state: "状态", power_w: "功率",
  carbon_g_per_h: "碳排放", cores_total: "总核数", cores_used: "在用核数", agent_seen_us: "代理最近消息", factor_kg_per_kwh: "排放因子",
  factor_source: "因子来源", price_per_kwh: "电价", price_source: "电价来源", utc_offset_h: "时区", height_u: "高度", budget_w: "功率预算",
  supply_c: "送风温度", thermal_mass_j_per_k: "热容", conductance_w_per_k: "导热", inlet_c: "进风温度", maker: "厂商", arch: "架构", cores: "核数",
  memory_bytes: "内存", accelerator: "加速器", accelerator_family: "加速器系列", accelerators: "加速器数", accelerator_memory_bytes: "加速器内存",
  accelerator_tflops: "加速器算力", power_curve_w: "功率曲线", power_source: "功率来源", cap_min_w: "最低限功率", embodied_kg: "隐含碳",
  price_per_core_h: "核时价格", quota_cores: "核数配额", used_cores: "已用核数", model: "型号", position_u: "机位", priority: "优先级", backend: "接入方式",
  utilisation_ratio: "利用率", cap_w: "限功率", temperature_c: "温度", memory_used_bytes: "已用内存", outlets: "插座数", limit_w: "上限", outlet_on: "插座通电",
  read_us: "读取时间", from: "起点", to: "终点", delay_us: "时延", bandwidth_bps: "带宽", price_per_gb: "流量价格", used_bps: "已用带宽", centre: "中心",
  fingerprint: "证书指纹", pid: "进程号", seen_us: "最近消息", lease_until_us: "租约至", epoch: "纪元", running: "运行任务", address: "地址",
  kind: "类型", type: "类型", tenant: "租户", user: "用户", retries_max: "最多重试", policy: "策略", invocations_target: "目标调用数", submitted_us: "提交时间",
  started_us: "开始时间", ended_us: "结束时间", tasks: "任务数", tasks_done: "已完成", tasks_failed: "已失败", account: "核算", result: "结果", reason: "原因",
  wall_s: "历时", cpu_s: "CPU 时间", cpu_source: "CPU 来源", energy_kwh: "能耗", energy_source: "能耗来源", carbon_kg: "碳", carbon_source: "碳来源",
  cost_cny: "费用", cost_source: "费用来源", moved_bytes: "传输量", argv: "命令", env: "环境", after: "依赖", inputs: "输入", outputs: "输出",
  time_limit_us: "时限", checkpoints: "检查点", pin_centre: "固定中心", attempt: "尝试", failures: "失败次数", node: "节点", agent: "代理", placed_us: "放置时间",
  exit_status: "退出码", checkpoint: "检查点摘要", checkpoint_bytes: "检查点大小", checkpoint_centre: "检查点位置", why: "理由", decision: "决策序号",
  instances_max: "最多实例", idle_us: "空闲时限", timeout_us: "超时", instances: "实例", invocations: "调用次数", cold_starts: "冷启动", parent: "上级",
  carbon_cny_per_kg: "碳价", time_cny_per_h: "等待成本", default_core_s: "缺省核秒", lease_us: "租约", lease_margin_us: "租约余量", jobs_max: "作业上限",
  pace_ratio: "倍速", by_us: "快进", role: "角色", expires_us: "到期", object: "对象", field: "字段", value: "值", cap: "能力", mode: "模式", subject: "主题",
  revision: "版本", source: "来源", job: "作业", offset_bytes: "起始位置", limit_bytes: "长度", input: "输入", points: "点数", cold: "冷启动", now_us: "系统时间",
};

const UNIT_END = /_(w|kwh|kw|c|us|s|ms|bps|bytes|deg|ratio|kg|cny|u|pa|j_per_k|w_per_k|g_per_h|kg_per_kwh|per_kwh|zh)$/;
const WHOLE: Record<string, string> = {
  pue_ratio: "PUE", price_per_kwh: "Price per kWh", price_per_core_h: "Price per core hour", price_per_gb: "Price per GB", title_zh: "Title (Chinese)",
  argv: "Command", carbon_g_per_h: "Carbon", cpu_s: "CPU time", pid: "PID", utc_offset_h: "UTC offset", carbon_cny_per_kg: "Carbon price",
  time_cny_per_h: "Price of waiting", default_core_s: "Default CPU time", by_us: "By", jobs_max: "Jobs at most", instances_max: "Instances at most", retries_max: "Retries at most", cpu_source: "CPU source", pin_centre: "Pinned to",
};

const first = remembered("lang") ?? ((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en");
export const lang = store<Lang>(first === "zh" ? "zh" : "en");

export function setLang(l: Lang): void {
  remember("lang", l);
  lang.set(l);
  document.documentElement.lang = l === "zh" ? "zh-CN" : "en";
}

export const useLang = () => useStore(lang);
export type Key = keyof typeof strings;

const at = () => (lang.get() === "zh" ? 1 : 0);

export function t(key: Key, values?: Record<string, string | number>): string {
  let s: string = strings[key][at()];
  for (const [k, v] of Object.entries(values ?? {})) s = s.replaceAll("{" + k + "}", String(v));
  return s;
}

export const word = (w: string): string => words[w]?.[at()] ?? w;

export function label(name: string): string {
  if (at() && fields[name]) return fields[name];
  if (WHOLE[name]) return WHOLE[name];
  const s = name.replace(UNIT_END, "").replaceAll("_", " ");
  return s.charAt(0).toUpperCase() + s.slice(1);
}

export function titled(o: { name: string; title?: string; title_zh?: string } | undefined): string {
  if (!o) return "";
  return (at() && o.title_zh) || o.title || o.name;
}

// "Wuhu (Yangtze River Delta)" -> "Wuhu"
export const brief = (s: string): string => s.replace(/\s*[(（].*$/, "") || s;
