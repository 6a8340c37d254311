"""Who is told of what: a budget of the account, and alarms of what costs or fails without a word."""

from __future__ import annotations

from typing import Any

from aws_cdk import Fn, Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns

from aws.network import Network
from aws.parameters import Parameters
from aws.storage import Storage

_DAY = 86400


def build(stack: Stack, given: Parameters, network: Network, storage: Storage) -> None:
    """Topic, alarms, and the budget where there is such a thing."""
    mail = given.mail.value_as_string
    topic = sns.CfnTopic(stack, "Alarms", topic_name=Fn.sub("${ClusterName}-alarms"))
    sns.CfnSubscription(stack, "AlarmsByMail", topic_arn=topic.ref, protocol="email", endpoint=mail)

    def alarm(name: str, words: str, **more: Any) -> None:
        cloudwatch.CfnAlarm(
            stack,
            name,
            alarm_description=words,
            evaluation_periods=1,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[topic.ref],
            **more,
        )

    nat = [cloudwatch.CfnAlarm.DimensionProperty(name="NatGatewayId", value=network.nat.ref)]
    sent = cloudwatch.CfnAlarm.MetricProperty(
        namespace="AWS/NATGateway", metric_name="BytesOutToDestination", dimensions=nat
    )
    alarm(
        "NatBusy",
        "More than NatGigabytes went out through the NAT gateway within a day: each costs.",
        # a template can not multiply its parameter: the metric is brought to gigabytes instead
        metrics=[
            cloudwatch.CfnAlarm.MetricDataQueryProperty(
                id="gigabytes", expression="sent / 1000000000", label="gigabytes", return_data=True
            ),
            cloudwatch.CfnAlarm.MetricDataQueryProperty(
                id="sent",
                metric_stat=cloudwatch.CfnAlarm.MetricStatProperty(metric=sent, period=_DAY, stat="Sum"),
                return_data=False,
            ),
        ],
        threshold=given.nat_bytes.value_as_number,
    )
    alarm(
        "NatFull",
        "The NAT gateway had no port left for a connection: servers can not reach some address.",
        namespace="AWS/NATGateway",
        metric_name="ErrorPortAllocation",
        dimensions=nat,
        statistic="Sum",
        period=300,
        threshold=0,
    )
    alarm(
        "FilesBusy",
        "The file system of the archive is at its limit of operations: reading is slow.",
        namespace="AWS/EFS",
        metric_name="PercentIOLimit",
        dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name="FileSystemId", value=storage.files.ref)],
        statistic="Average",
        period=900,
        threshold=95,
    )
    _budget(stack, given, mail)


def _budget(stack: Stack, given: Parameters, mail: str) -> None:
    def told(kind: str, percent: int) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
        return budgets.CfnBudget.NotificationWithSubscribersProperty(
            notification=budgets.CfnBudget.NotificationProperty(
                notification_type=kind,
                comparison_operator="GREATER_THAN",
                threshold=percent,
                threshold_type="PERCENTAGE",
            ),
            subscribers=[budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=mail)],
        )

    budget = budgets.CfnBudget(
        stack,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=given.budget.value_as_number, unit="USD"),
        ),
        notifications_with_subscribers=[told("ACTUAL", 80), told("FORECASTED", 100)],
    )
    # GovCloud is paid through an account of the commercial partition, which has the budget
    budget.cfn_options.condition = given.commercial
    budget.add_metadata("cfn-lint", {"config": {"ignore_checks": ["E3006"]}})
